"""Presets of flags, and data sets with the same pairs."""

import pytest
from reporting import run_script
from synthetic import dataset, source, write

from polypref.config.diagnostics import Diagnostics
from polypref.datasets.counts import tabulate_funnel
from polypref.datasets.diagnostics import FLAGS
from polypref.files import schemas
from polypref.files.result_tables import read_frame


def test_presets():
    flags = {name: Diagnostics(drop=name).dropped_flags for name in ("none", "broken", "strict")}
    assert flags["none"] == Diagnostics().dropped_flags == ["chosen_equals_rejected"]
    assert flags["strict"] == sorted(FLAGS)
    kinds = {flag.split("_", 1)[1] for flag in flags["broken"]}
    assert kinds == {"equals_rejected", "wrong_language", "truncated", "repeats"} and len(flags["broken"]) == 10
    assert Diagnostics(drop=["prompt_repeats"]).dropped_flags == ["prompt_repeats"]
    with pytest.raises(ValueError, match="broken"):
        Diagnostics(drop="brocken")


def test_aligned_data_sets_have_the_same_pairs_and_the_funnel_counts_the_rest(tmp_path):
    from types import SimpleNamespace

    pairs, left = source("gutenberg", 6)
    write(pairs, tmp_path / "pairs.parquet", schemas.PAIRS)
    for name in "AB":
        kept, dropped = dataset(pairs, name)
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
    funnel = tabulate_funnel({"gutenberg": (pairs, empty)}, pairs, empty, frames, languages)
    assert funnel.loc[funnel["step"].eq("align"), "rows"].sum() == len(aligned)
