"""The file of a batch's completions: one row per request, in the order of the request files and their rows.

Each request file has its own section, which is listed in the file's metadata, so that an artifact reads only the
completions of its own requests. Rows are put in order by distributing them among buckets, which are written to disk if
they take too much memory.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from polypref.files.columns import integers, take_rows
from polypref.files.schemas import COMPLETIONS
from polypref.files.table_writer import ROW_GROUP, open_table
from polypref.files.tables import read_table, row_group_sizes
from polypref.requests.batch import Batch
from polypref.requests.keys import keys_of

SECTIONS = "polypref.sections"
"""Metadata of a file of completions: JSON {request file, relative to the folder of the file: [first row, rows]}."""
MEMORY_BYTES = 256 * 2**20
"""Size of the rows that are held in memory before they are written to the buckets' files."""
MAX_BUCKETS = 200
"""Maximum number of buckets, each of which has an open file."""
SLOT = pa.field("slot", pa.int64())


class Buckets:
    """Rows with slots, which are added in any order and returned in the order of their slots.

    Parameters
    ----------
    slots : number of slots
    folder : temporary folder, which is created if the rows exceed :data:`MEMORY_BYTES`
    """

    def __init__(self, slots: int, folder: Path) -> None:
        self._size = max(ROW_GROUP, -(-slots // MAX_BUCKETS))
        self._folder = folder
        self._tables: dict[int, list[pa.Table]] = {}
        self._bytes = 0
        self._writers: dict[int, pa.RecordBatchFileWriter] = {}
        self._slots = slots

    def __enter__(self) -> Buckets:
        shutil.rmtree(self._folder, ignore_errors=True)  # of a killed job
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._writers.values():
            writer.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, table: pa.Table, slots: np.ndarray) -> None:
        """Add rows with their slots."""
        if not len(slots):
            return
        if not (slots[1:] >= slots[:-1]).all():
            order = np.argsort(slots, kind="stable")
            table, slots = take_rows(table, order), slots[order]
        table = table.append_column(SLOT, integers(slots))
        numbers = slots // self._size
        edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
        for start, end in itertools.pairwise(edges):
            self._tables.setdefault(int(numbers[start]), []).append(table.slice(start, end - start))
        self._bytes += table.nbytes
        if self._bytes > MEMORY_BYTES:
            self._spill()

    def read(self) -> Iterator[pa.Table]:
        """Iterate over all rows in the order of their slots, without the slots, one bucket at a time."""
        for number in range(-(-self._slots // self._size)):
            tables = self._tables.pop(number, [])
            if number in self._writers:
                self._writers.pop(number).close()
                with pa.memory_map(str(self._file(number))) as file:
                    tables.insert(0, pa.ipc.open_file(file).read_all())
                self._file(number).unlink()
            if tables:
                table = pa.concat_tables(tables).combine_chunks()
                slots = np.concatenate([chunk.to_numpy() for chunk in table["slot"].chunks])
                yield take_rows(table.drop_columns(["slot"]), np.argsort(slots, kind="stable"))

    def _spill(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
        for number, tables in self._tables.items():
            table = pa.concat_tables(tables).combine_chunks()
            if number not in self._writers:
                self._writers[number] = pa.ipc.new_file(str(self._file(number)), table.schema, options=options)
            self._writers[number].write_table(table)
        self._tables, self._bytes = {}, 0

    def _file(self, number: int) -> Path:
        return self._folder / f"{number}.arrow"


def write_completions(path: str | os.PathLike[str], batch: Batch, tables: Iterable[pa.Table]) -> np.ndarray:
    """Write the file of completions of a batch, with a bounded number of rows in memory.

    Parameters
    ----------
    path : file of completions
    batch : requests of the batch
    tables : tables in COMPLETIONS, in any order; other requests are ignored, and the first of several completions of a
        request counts

    Returns
    -------
    Boolean array, [key]: the requests that have no completion. If there is one, no file is written.
    """
    path = Path(path)
    missing = np.ones(len(batch), bool)
    with Buckets(batch.slots, path.with_name(f".{path.name}.buckets")) as buckets:
        for table in tables:
            rows, keys = new_rows(batch, table, missing)
            slots, owners = batch.index.positions(keys)
            buckets.add(table if len(owners) == len(table) == len(rows) else take_rows(table, rows[owners]), slots)
        if not missing.any():
            _write(path, batch, buckets.read())
    return missing


def new_rows(batch: Batch, table: pa.Table, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of a table that belong to missing requests, and their keys, which are no longer missing then."""
    keys = batch.index.find(keys_of(table["request_id"]))
    if not len(batch):
        return keys[:0], keys[:0]
    rows = np.flatnonzero((keys >= 0) & missing[keys])
    _, first = np.unique(keys[rows], return_index=True)
    rows = rows[np.sort(first)]
    missing[keys[rows]] = False
    return rows, keys[rows]


def _write(path: Path, batch: Batch, tables: Iterable[pa.Table]) -> None:
    sections = {os.path.relpath(name, path.parent): section for name, section in batch.sections.items()}
    with open_table(path, COMPLETIONS) as writer:
        for table in tables:
            writer.write(table)
        writer.add_metadata({SECTIONS: json.dumps(sections, ensure_ascii=False)})


def section_of(path: str | os.PathLike[str], requests: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return the first row and the number of rows of a request file's section, or None if it has none."""
    metadata = pq.read_metadata(path).metadata or {}
    sections = json.loads(metadata.get(SECTIONS.encode(), b"{}"))
    found = sections.get(os.path.relpath(requests, Path(path).parent))
    return tuple(found) if found else None


def iter_section(
    path: str | os.PathLike[str], section: tuple[int, int], columns: list[str] | None = None
) -> Iterator[pa.Table]:
    """Iterate over the rows of a section, about a row group at a time."""
    (first, rows), start = section, 0
    for number, size in enumerate(row_group_sizes(path)):
        begin, end = max(first, start), min(first + rows, start + size)
        if begin < end:
            yield read_table(path, COMPLETIONS, columns, [number]).slice(begin - start, end - begin)
        start += size
