"""Files of preference pairs in every supported format, and the pairs that are read from them."""

import csv
import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq

from polypref.sources.formats import COLUMNS, normalise
from polypref.sources.reading import Data

ROW = {"prompt": "Why?", "chosen": "So.", "rejected": "No."}
FORMATS = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".json", ".csv", ".csv.gz", ".parquet")


def packed(data: bytes, suffix: str) -> bytes:
    if suffix.endswith(".gz"):
        return gzip.compress(data)
    return pa.Codec("zstd").compress(data, asbytes=True) if suffix.endswith(".zst") else data


def write(folder, suffix: str, rows: list[dict], name: str = "pairs"):
    """Write rows in a format; JSON escapes what is not ASCII, so that it can contain lone surrogates."""
    path = folder / f"{name}{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    elif suffix.startswith(".csv"):
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        path.write_bytes(packed(text.getvalue().encode("utf-8"), suffix))
    else:
        path.write_bytes(packed("".join(json.dumps(row) + "\n" for row in rows).encode("utf-8"), suffix))
    return path


def pairs_of(path, kind="preference", bad_rows="drop", columns=None) -> tuple[list, list]:
    """Normalise a data set and write it, as the rule does; return its pairs and dropped rows."""
    rows, dropped = Data(path, COLUMNS[kind], columns=columns), []
    return list(normalise("mine", kind, rows, str(rows), bad_rows, dropped.append, place=rows.place)), dropped
