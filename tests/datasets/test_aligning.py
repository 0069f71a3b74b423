"""Data sets with the same pairs."""

import random
from types import SimpleNamespace

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from reporting import run_script
from synthetic import dataset, source, write

from polypref.datasets.aligning import align
from polypref.datasets.counts import tabulate_funnel
from polypref.files import schemas
from polypref.files.result_tables import read_frame
from polypref.files.table_writer import write_table
from polypref.files.tables import BATCH

LANGUAGES = ("aa", "bb", "cc")


def test_aligned_data_sets_have_the_same_pairs_and_the_funnel_counts_the_rest(tmp_path):
    pairs, left = source("gutenberg", 6)
    write(pairs, tmp_path / "pairs.parquet", schemas.PAIRS)
    for name in "AB":
        kept, dropped = dataset(pairs, name)
        kept = kept.sort_values(["language", "item_id"])
        write(kept, tmp_path / f"unaligned/{name}.parquet", schemas.DATASET)
        write(dropped, tmp_path / f"unaligned/{name}.dropped.parquet", schemas.DROPPED)
    frames = {}
    for name in "AB":
        out = {"dataset": tmp_path / f"{name}.parquet", "dropped": tmp_path / f"{name}.dropped.parquet"}
        files = {"pairs": tmp_path / "pairs.parquet", "dropped": tmp_path / f"unaligned/{name}.dropped.parquet",
                 "datasets": [tmp_path / f"unaligned/{other}.parquet" for other in "AB"]}  # fmt: skip
        run_script("align_dataset", input=files, output=out, wildcards=SimpleNamespace(architecture=name))
        frames[name] = (read_frame(out["dataset"], schemas.DATASET), read_frame(out["dropped"], schemas.DROPPED))
    keys = {name: set(zip(kept["item_id"], kept["language"], strict=True)) for name, (kept, _) in frames.items()}
    assert keys["A"] == keys["B"] and 0 < len(keys["A"]) < 9 * len(pairs)
    aligned = frames["A"][1][frames["A"][1]["step"].eq("align")]
    assert set(aligned["reason"]) == {"not in data set B"} and set(aligned["language"]) == {"is"}
    empty = left.iloc[:0]
    languages = sorted(frames["A"][0]["language"].unique())
    funnel = tabulate_funnel(
        {"gutenberg": ([pairs], [empty])}, [pairs], [empty], {n: ([k], [d]) for n, (k, d) in frames.items()}, languages
    )
    assert funnel.loc[funnel["step"].eq("align"), "rows"].sum() == len(aligned)


def files(folder, pairs, data):
    """Write a base set, and data sets of (language, item) keys."""
    base = [{**dict.fromkeys(schemas.PAIRS.names, "x"), "item_id": f"{n:05d}", "row": 7 * n} for n in range(pairs)]
    write_table(folder / "pairs.parquet", base, schemas.PAIRS)
    for name, keys in data.items():
        rows = [{"language": code, "item_id": f"{n:05d}", "source": "s"} for code, n in sorted(keys)]
        write_table(folder / f"{name}.parquet", rows, schemas.DATASET)
    return {name: folder / f"{name}.parquet" for name in (*data, "pairs")}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sets(st.tuples(st.sampled_from(LANGUAGES), st.integers(0, 5))), min_size=2, max_size=4))
def test_a_pair_is_kept_if_every_data_set_has_it(tmp_path_factory, keys):
    data = dict(zip("ABCD", keys, strict=False))
    written = files(tmp_path_factory.mktemp("align"), 6, data)
    base = written.pop("pairs")
    own = written.pop("A")
    kept, left = [], []
    for tables in align(own, written, base):
        for found, table in zip((kept, left), tables, strict=True):
            found += table.to_pylist()
    common = set.intersection(*data.values())
    assert [(row["language"], int(row["item_id"])) for row in kept] == sorted(common)
    for row, key in zip(left, sorted(data["A"] - common), strict=True):
        lacking = [name for name in "BCD" if name in data and key not in data[name]]
        assert (row["language"], int(row["item_id"])) == key and row["row"] == 7 * key[1]
        assert row["reason"] == f"not in data set {', '.join(lacking)}" and row["step"] == "align"


def test_data_sets_of_several_batches_are_aligned(tmp_path):
    rng, count = random.Random(1), BATCH + 500
    data = {name: {(code, n) for code in LANGUAGES for n in range(count) if rng.random() < 0.9} for name in "AB"}
    written = files(tmp_path, count, data)
    tables = list(align(written["A"], {"B": written["B"]}, written["pairs"]))
    kept = pa.concat_tables([table for table, _ in tables])
    assert kept.num_rows == len(data["A"] & data["B"])
    assert sum(len(left) for _, left in tables) == len(data["A"] - data["B"])
    assert max(len(table) for table, _ in tables) <= BATCH
