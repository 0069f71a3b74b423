"""The funnel adds up; otherwise, an error names the place."""

import pandas as pd
import pytest
import synthetic
from rows_in_memory import reader

from polypref.datasets import counts
from polypref.datasets.counts import read_lengths, tabulate_dataset_counts, tabulate_funnel
from polypref.files.schemas import DATASET, DROPPED, PAIRS
from polypref.files.tables import TableError
from polypref.sources.formats import normalise
from polypref.sources.sampling import Measured, sample_pairs


@pytest.fixture
def data():
    sources = {name: synthetic.source(name) for name in synthetic.SOURCES}
    everything = pd.concat([kept for kept, _ in sources.values()], ignore_index=True)
    pairs, rest = everything[everything["row"] < 15], everything[everything["row"] >= 15]
    left = rest.assign(language=None, step="sample", reason="not sampled")[DROPPED.names]
    return {"sources": sources, "pairs": pairs, "pairs_dropped": left,
            "datasets": {name: synthetic.dataset(pairs, name) for name in "AB"}}  # fmt: skip


def funnel_of(data: dict, languages: list[str] = synthetic.LANGUAGES, **more) -> pd.DataFrame:
    """Tabulate the funnel; all rows are read in pieces of 20."""

    def pieces(frame: pd.DataFrame) -> list[pd.DataFrame]:
        return [frame[start : start + 20] for start in range(0, len(frame), 20)]

    def both(parts: dict) -> dict:
        return {name: tuple(pieces(frame) for frame in frames) for name, frames in parts.items()}

    pairs, left = pieces(data["pairs"]), pieces(data["pairs_dropped"])
    return tabulate_funnel(both(data["sources"]), pairs, left, both(data["datasets"]), languages, **more)


def test_every_row_is_accounted_for(data):
    funnel = funnel_of(data)
    groups = funnel.assign(part=funnel["step"].where(funnel["step"].isin(["read", "kept"]), "dropped"))
    sums = groups.pivot_table(index=["stage", "name", "language"], columns="part", values="rows", aggfunc="sum").fillna(
        0
    )
    assert (sums["read"] == sums["dropped"] + sums["kept"]).all()
    assert sums.loc[("architecture", "B", "is")].to_dict() == {"read": 45, "dropped": 3, "kept": 42}
    source = funnel[funnel["stage"].eq("source") & funnel["name"].eq("gutenberg")]
    assert source[["step", "reason", "rows"]].values.tolist() == [
        ["read", "", 24], ["normalise", "tie", 2], ["clean", "empty response", 1],
        ["deduplicate", "same prompt", 1], ["kept", "", 20],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "change", "complaint"),
    [
        (
            "pairs",
            lambda f: f[f["item_id"].ne("gutenberg-003")],
            "base set, source gutenberg: 1 rows are neither.*-003",
        ),
        ("pairs_dropped", lambda f: pd.concat([f, f.head(1)]), "source chatbot_arena: 1 rows .*more than once.*-015"),
        (
            "pairs",
            lambda f: pd.concat([f, f.head(1).assign(item_id="new")]),
            "source chatbot_arena: 1 rows were not in the input: new",
        ),
        ("pairs", lambda f: pd.concat([f, f.head(1).assign(source="web")]), "pairs of web"),
    ],
)
def test_a_sum_that_does_not_add_up_names_the_source(data, key, change, complaint):
    data[key] = change(data[key])
    with pytest.raises(TableError, match=complaint):
        funnel_of(data)


def test_a_lost_row_names_architecture_and_language(data):
    kept, dropped = data["datasets"]["B"]
    data["datasets"]["B"] = kept[~(kept["language"].eq("ja") & kept["item_id"].eq("gutenberg-001"))], dropped
    with pytest.raises(TableError, match=r"architecture B, ja: 1 rows are neither kept nor dropped: gutenberg-001"):
        funnel_of(data)
    with pytest.raises(TableError, match=r"architecture A: rows in .*zh"):
        funnel_of(data, synthetic.LANGUAGES[:-1])


def test_a_repeated_row_names_architecture_and_language(data):
    kept, dropped = data["datasets"]["A"]
    again = kept[kept["language"].eq("ja")].tail(1)
    data["datasets"]["A"] = pd.concat([kept, again]), dropped
    item = again["item_id"].item()
    with pytest.raises(TableError, match=f"architecture A, ja: 1 rows are kept or dropped more than once: {item}"):
        funnel_of(data)
    other = kept[kept["language"].eq("ja")].head(1)
    data["datasets"]["A"] = pd.concat([kept.drop(other.index), again]), dropped
    with pytest.raises(TableError, match=f"architecture A, ja: 1 rows are kept or dropped more than once: {item}"):
        funnel_of(data)
    source = data["sources"]["gutenberg"]
    data["sources"]["gutenberg"] = pd.concat([source[0], source[0].head(2)]), source[1]
    with pytest.raises(TableError, match="source gutenberg: item_id occurs more than once: gutenberg-000, gut"):
        funnel_of(data)


def native(rows: list[int], left: list[tuple[int, str]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    kept = pd.DataFrame({"item_id": [f"own-{n}" for n in rows], "row": rows})
    return [kept], [synthetic.dropped([("own", n, None, "de", step, "") for n, step in left])]


def test_native_prompts_are_counted_and_take_the_place_of_the_base_set(data):
    texts = data["pairs"].head(3).assign(item_id=["own-1", "own-4", "own-5"], source="own")
    for name, given in (("A", data["pairs"]), ("B", texts)):
        kept, dropped = synthetic.dataset(data["pairs"], name)
        own = synthetic.dataset(given, name)[0].query("language == 'de'")
        data["datasets"][name] = pd.concat([kept[kept["language"].ne("de")], own]), dropped
    sets = {("own", "de"): native([1, 4, 5], [(2, "clean"), (3, "deduplicate"), (7, "sample"), (8, "sample")])}
    named = {("B", "de"): "own"}
    funnel = funnel_of(data, native=sets, prompts=named)
    mine = funnel[funnel["stage"].eq("native prompts")]
    assert set(mine["name"]) == {"own"} and set(mine["language"]) == {"de"}
    assert dict(zip(mine["step"], mine["rows"], strict=True)) == {
        "read": 7, "clean": 1, "deduplicate": 1, "sample": 2, "kept": 3
    }  # fmt: skip
    read = funnel[funnel["step"].eq("read") & funnel["language"].eq("de")].set_index(["stage", "name"])["rows"]
    assert read["architecture", "A"] == 45 and read["architecture", "B"] == 3
    sets["own", "de"] = native([1, 4, 5], [(5, "sample")])
    with pytest.raises(TableError, match="native prompts own, de: rows are kept or dropped more than once: 5"):
        funnel_of(data, native=sets, prompts=named)
    sets["own", "de"] = native([1, 4], [(5, "sample")])
    with pytest.raises(TableError, match="architecture B, de: 1 rows were not in the input: own-5"):
        funnel_of(data, native=sets, prompts=named)


def test_counts(data, tmp_path):
    lengths = {}
    for name, (kept, _) in data["datasets"].items():
        synthetic.write(kept, tmp_path / name, DATASET)
        lengths[name] = list(read_lengths(tmp_path / name))
    table = tabulate_dataset_counts(lengths, synthetic.LANGUAGES)
    assert table["pairs"].sum() == sum(len(kept) for kept, _ in data["datasets"].values())
    assert table["language"].iloc[0] == "en" and table["architecture"].tolist() == sorted(table["architecture"])
    kept = data["datasets"]["A"][0]
    one = kept[kept["language"].eq("ja") & kept["source"].eq("gutenberg")]
    row = table[table["architecture"].eq("A") & table["language"].eq("ja") & table["source"].eq("gutenberg")].iloc[0]
    assert row["chosen_characters"] == pytest.approx(one["chosen"].map(len).mean())


@pytest.mark.parametrize("repeated", [3, 500])
def test_the_funnel_is_as_long_for_many_dropped_rows_as_for_few(repeated):
    """Regression: each repeated pair was a row of its own, because its reason names the pair that it repeats."""
    rows = [{"prompt": f"p{n} " + "x " * n, "chosen": "yes", "rejected": "no"} for n in range(repeated)]
    rows += [{**row, "prompt": row["prompt"].upper()} for row in rows]
    dropped = []
    kept = list(normalise("s", "preference", [*rows, *rows], "file", "error", dropped.append))

    def measure(some):
        return [Measured(len(row["prompt"])) for row in some]

    evaluation = [(f"e{n}", f"p{n} x") for n in (1, 2)]
    sampled, left = map(list, sample_pairs({"s": reader(kept)}, 10 * repeated, 1, 50, measure, evaluation))
    assert {row["step"] for row in left} >= {"contamination", "deduplicate"}
    frames = [[pd.DataFrame(rows, columns=PAIRS.names)] for rows in (kept, sampled)]
    lost = [[pd.DataFrame(rows, columns=DROPPED.names)] for rows in (dropped, left)]
    funnel = tabulate_funnel({"s": (frames[0], lost[0])}, frames[1], lost[1], {}, [])
    reasons = funnel.loc[funnel["reason"].ne(""), ["stage", "step", "reason"]].values.tolist()
    expected = [
        ["source", "deduplicate", "the same pair as another row"],
        ["base set", "contamination", "an evaluation prompt (exact)"],
        ["base set", "deduplicate", "the same prompt as another row"],
        ["base set", "length", "more than 50 tokens"],
    ]
    assert sorted(reasons) == sorted(row for row in expected if repeated > 3 or row[1] != "length")
    assert funnel.loc[funnel["step"].eq("read"), "rows"].tolist() == [len(rows) * 2, len(kept)]


def test_many_different_reasons_are_summed(data):
    kept, dropped = data["datasets"]["A"]
    lost = kept[kept["language"].eq("de")]
    left = lost.assign(row=0, step="answer", reason=[f"error {n}" for n in range(len(lost))])[DROPPED.names]
    data["datasets"]["A"] = kept.drop(lost.index), pd.concat([dropped, left])
    before = funnel_of(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counts, "MOST_REASONS", 5)
        funnel = funnel_of(data)
    assert funnel["rows"].sum() == before["rows"].sum() and len(funnel) < len(before)
    mine = funnel[funnel["name"].eq("A") & funnel["language"].eq("de") & funnel["step"].eq("answer")]
    assert mine["reason"].iloc[-1] == "other reasons" and len(mine) <= 6
