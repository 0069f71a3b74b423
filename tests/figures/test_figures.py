"""The figures have no empty boxes, are saved with their data, and share the style of one file."""

import logging
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import yaml

from polypref.datasets.diagnostic_tables import tabulate_lengths
from polypref.datasets.diagnostics import FLAGS
from polypref.figures import style as figures
from polypref.figures.datasets import flag_frame, plot_flags, plot_lengths
from polypref.figures.improvement import plot_forest
from polypref.figures.win_rates import language_frame, plot_language_heatmap
from polypref.report.pages import FIGURES

ROOT = Path(__file__).parents[2]
STYLE = ROOT / "resources/figures.mplstyle"
LANGUAGES = yaml.safe_load((ROOT / "resources/languages.yaml").read_text(encoding="utf-8"))
NAMES = {code: language["name"] for code, language in LANGUAGES.items()}


@pytest.fixture(autouse=True)
def look():
    with figures.style(STYLE):
        yield
    plt.close("all")


def files(folder: Path, name: str = "f") -> dict[str, Path]:
    return {f"{name}_{kind}": folder / f"{name}.{kind}" for kind in ("svg", "png", "csv")}


def written(text: str) -> plt.Figure:
    figure, axes = plt.subplots(figsize=(1, 1))
    axes.set_title(text)
    return figure


def test_the_font_has_every_label_that_a_figure_can_show(tmp_path, caplog):
    """Names in the registry are ASCII (polypref.config.registry.Name), and languages have English names."""
    labels = " ".join([*NAMES.values(), *map(chr, range(32, 127)), "− – · β ×"])
    with caplog.at_level(logging.WARNING, "matplotlib"):
        figures.save(written(labels.replace("$", "")), pd.DataFrame(), files(tmp_path), "f")
    assert not caplog.records, "a font family that does not exist"


def test_a_letter_without_a_glyph_is_an_error_that_names_the_remedy(tmp_path):
    with pytest.raises(figures.FigureError, match=r"figure f: Glyph 26085 .*font\.family.*figures\.style"):
        figures.save(written(LANGUAGES["ja"]["endonym"]), pd.DataFrame(), files(tmp_path), "f")
    assert not list(tmp_path.glob("*.*")), "no partial output"


def test_the_style_has_the_colours_that_the_report_replaces():
    cycle = ["#" + colour.lstrip("#") for colour in plt.rcParams["axes.prop_cycle"].by_key()["color"]]
    assert (cycle[0], cycle[5]) == (figures.WIN, figures.LOSS) and len(set(cycle)) == len(cycle) == 9
    assert (plt.rcParams["text.color"], plt.rcParams["grid.color"]) == (figures.INK, figures.GRID)


def test_an_error_in_a_style_names_the_file_and_the_key(tmp_path):
    (tmp_path / "my.mplstyle").write_text("axes.grid: perhaps\n")
    with (
        pytest.raises(figures.FigureError, match=r"my\.mplstyle: .*axes\.grid.*perhaps"),
        figures.style(tmp_path / "my.mplstyle"),
    ):
        pass


def test_the_style_sets_the_resolution(tmp_path):
    sizes = []
    for dpi in (50, 100):
        (tmp_path / "my.mplstyle").write_text(STYLE.read_text() + f"\nsavefig.dpi: {dpi}\n")
        with figures.style(tmp_path / "my.mplstyle"):
            figures.save(written("x"), pd.DataFrame(), files(tmp_path), "f")
        sizes.append(plt.imread(tmp_path / "f.png").shape[1])
    assert sizes[1] == pytest.approx(2 * sizes[0], abs=2)


def improvement() -> pd.DataFrame:
    rows = []
    for policy in "AB":
        for opponent in ("x", "y"):
            for code, p in (("all", 0.01), ("is", 0.5), ("ja", float("nan"))):
                gain = {"improvement": -4.0 if policy == "A" else 6.04, "low": -8.0, "high": 12.0, "prompts": 9}
                rows.append({"policy": policy, "opponent": opponent, "language": code, "p_adjusted": p, **gain})
    return pd.DataFrame(rows)


def test_forest_has_a_panel_per_variant_and_opponent_on_one_scale():
    figure = plot_forest(improvement(), list(NAMES), NAMES)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "A − base, against x", "B − base, against x", "A − base, against y", "B − base, against y",
    ]  # fmt: skip
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    last = figure.axes[-1]
    assert {text.get_text() for text in last.texts} == {"+6.0 [−8.0, +12.0]"}
    filled = [line.get_markerfacecolor() != "white" for line in last.lines if line.get_marker() in ("o", "D")]
    assert filled == [True, False, False], "only where the corrected test is significant"
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        "All languages",
        "Icelandic",
        "Japanese",
    ]


def test_heatmap_of_languages_has_all_first_and_one_scale_around_zero():
    rates = pd.DataFrame({"policy": ["base", "A"], "opponent": "x", "judgements": 20, "win_percent": 40.0,
                          "loss_percent": [40.0, 20.0], "difference": [0.0, 20.0], "difference_low": 0.0,
                          "difference_high": 30.0})  # fmt: skip
    each = pd.concat([rates.assign(language=code, judgements=10) for code in ("ja", "is")])
    each.loc[each["policy"].eq("A"), "difference"] = [-40.0, 80.0]
    frame = language_frame(rates, each, ["is", "ja"])
    assert frame[["policy", "language", "difference"]].values.tolist() == [
        ["base", "all", 0.0], ["base", "is", 0.0], ["base", "ja", 0.0],
        ["A", "all", 20.0], ["A", "is", 80.0], ["A", "ja", -40.0],
    ]  # fmt: skip
    figure = plot_language_heatmap(frame, NAMES)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["0.0", "0.0", "0.0", "+20.0", "+80.0", "−40.0"]
    reds, blues = ([patch.get_facecolor()[part] for patch in axes.patches] for part in (0, 2))
    assert blues[4] > reds[4] and reds[5] > blues[5] and reds[0] == blues[0] == 1
    assert "n = 10 judgements" in figure._supxlabel.get_text()


def diagnostics(tokens: list[int]) -> pd.DataFrame:
    fields = {f"{field}_tokens": tokens for field in ("prompt", "chosen", "rejected")}
    return pd.DataFrame({"language": ["ja", "ja", "ja", "is", "is"], **fields})


def test_lengths_are_percentiles_by_architecture_language_and_field():
    frame = diagnostics([1, 2, 9, 4, 6])
    table = tabulate_lengths({"B": [frame[:2], frame[2:]], "A": [diagnostics([1, 1, 1, 1, 1])]}, ["is", "ja"])
    assert table[["architecture", "language", "field"]].drop_duplicates().shape == (12, 3)
    assert list(table["architecture"].unique()) == ["A", "B"] and list(table["language"][:4]) == ["is"] * 3 + ["ja"]
    row = table[table["architecture"].eq("B") & table["language"].eq("ja") & table["field"].eq("chosen")].iloc[0]
    assert (row["pairs"], row["mean"], row["p50"], row["p25"]) == (3, 4, 2, 1.5)
    left, right = plot_lengths(table, NAMES).axes
    assert left.get_xlim() == right.get_xlim() and left.get_title(loc="right") == "n = 2 to 3 per language"


def test_flags_are_shares_over_all_sources_and_unused_flags_are_omitted():
    rows = [{"architecture": "A", "language": "is", "pairs": 10} | dict.fromkeys(FLAGS, 0) for _ in range(2)]
    rows[0]["chosen_repeats"] = 5
    frame = flag_frame(pd.DataFrame(rows))
    (found,) = frame[frame["flagged"].gt(0)].to_dict("records")
    assert (found["flag"], found["pairs"], found["flagged_percent"]) == ("chosen_repeats", 20, 25.0)
    figure = plot_flags(frame, NAMES)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["chosen repeats"]
    none = plot_flags(frame.assign(flagged=0, flagged_percent=0.0), NAMES)
    assert none._supxlabel.get_text() == "no pair has a flag"


def test_figures_of_100_languages_have_colours_instead_of_numbers():
    codes = [f"l{number}" for number in range(100)]
    names, policies = {code: code.upper() for code in codes}, ["base", *"ABCDEFGHIJ"]
    rates = pd.DataFrame([(policy, opponent) for opponent in "xyz" for policy in policies])
    rates = rates.set_axis(["policy", "opponent"], axis=1).assign(
        judgements=20, win_percent=40.0, loss_percent=30.0, difference=10.0, difference_low=0.0, difference_high=20.0
    )
    each = pd.concat([rates.assign(language=code, difference=float(number)) for number, code in enumerate(codes)])
    each = each[~(each["language"].eq("l7") & each["policy"].eq("A"))]
    figure = plot_language_heatmap(language_frame(rates, each, codes), names)
    first, *_, scale = figure.axes
    assert len(figure.axes) == 4 and not first.texts and scale.get_ylabel() == "" and scale.get_ylim() == (-99, 99)
    columns = [mesh.get_array().ravel() for mesh in first.collections]
    assert len(columns) == 101 and columns[0][0] == 10 and set(columns[100].data) == {99.0}
    assert columns[8].mask.tolist() == [name == "A" for name in policies], "there are no judgements"
    assert figure.axes[2].get_xticklabels()[1].get_text() == "L0"

    table = pd.concat([improvement().assign(language=code) for code in ("all", *codes[:99])])
    table = pd.concat([table.assign(opponent=table["opponent"] + f"{number}") for number in range(3)])
    few = plot_forest(table, codes, names)
    assert len(table) > 2000 and len(few.axes) == 2 * 6
    assert [label.get_text() for label in few.axes[0].get_yticklabels()] == ["All languages"]
    assert "languages are only in the CSV file" in few._supxlabel.get_text()

    rows = [{"architecture": name, "language": code, "pairs": 10} | dict.fromkeys(FLAGS, 1)
            for name in "ABC" for code in codes]  # fmt: skip
    flags = plot_flags(flag_frame(pd.DataFrame(rows)), names)
    assert flags.get_figwidth() < 25 and len({axes.get_position().x0 for axes in flags.axes[:3]}) == 1
    assert not flags.axes[0].texts and len(flags.axes) == 4
    assert flags.axes[2].xaxis.get_ticks_position() == "bottom", "Regression: names were between two panels"


def test_every_figure_has_a_caption_with_unit_and_n():
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    named = set(re.findall(r'figure\("(\w+)"', rules))
    captions = {path.stem: path.read_text() for path in (ROOT / "docs/captions").glob("*.rst")}
    assert named == set(FIGURES) == captions.keys() - {"rules"}
    for name, text in ((name, captions[name]) for name in named):
        assert " n, " in text and any(unit in text for unit in ("%", "0 to 100", "nats", "tokens")), name
