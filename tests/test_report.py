"""The report from a whole run's results: what it shows, that it asks nothing of the network, that nothing escapes."""

import base64
import hashlib
import html.parser
import os
import re
import runpy
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import synthetic

from polypref.report import text
from polypref.report.headline import headline
from polypref.report.report import without_secrets
from polypref.report.svg import inline_svg

ROOT = Path(__file__).parent.parent
SCRIPTS = ROOT / "workflow/scripts"
NAMES = {
    "en": "English", "ar": "Arabic", "de": "German", "es": "Spanish", "is": "Icelandic", "ja": "Japanese",
    "nl": "Dutch", "ru": "Russian", "zh": "Chinese",
}  # fmt: skip
FIGURES = ("bleu", "chrf", "win_rates", "win_rates_by_language", "improvement", "forest", "training", "lengths",
           "diagnostics")  # fmt: skip
HOSTILE = (
    "</td><script>alert(1)</script><img src=x onerror=alert(2)> [x](javascript:alert(3)) \u202egnp.exe " + "W" * 10**6
)


class Named(dict):
    """Snakemake's named files: by attribute, by name, by position."""

    __getattr__ = dict.__getitem__

    def __getitem__(self, key):
        return list(self.values())[key] if isinstance(key, int) else super().__getitem__(key)


def run_script(name: str, **directives) -> None:
    """Run one of the workflow's scripts as Snakemake would."""
    named = {key: Named(value) if isinstance(value, dict) else value for key, value in directives.items()}
    log = [next(iter(directives["output"].values())).parent.parent / f"logs/{name}.log"]
    snakemake = SimpleNamespace(**{"params": Named(), "threads": 1, "log": log} | named)
    streams = {number: os.dup(number) for number in (1, 2)}  # a script sends both into its log
    try:
        runpy.run_path(str(SCRIPTS / f"{name}.py"), init_globals={"snakemake": snakemake}, run_name="__main__")
    finally:
        for number, kept in streams.items():
            os.dup2(kept, number)
            os.close(kept)


def run_all(folder: Path) -> Path:
    """From results below `folder` to the report, script by script."""
    languages, tables, figures = synthetic.LANGUAGES, folder / "tables", folder / "figures"
    run_script(
        "score_translations",
        input={"segments": sorted(folder.glob("wmt/*.parquet")),
               "translations": sorted(folder.glob("translations/wmt/source/*/*.parquet"))},
        output={"scores": tables / "translation_scores.csv", "comparisons": tables / "translation_comparisons.csv"},
        params={"tokenizers": {code: synthetic.TOKENIZERS.get(code, "13a") for code in languages}},
    )  # fmt: skip
    rates = ("win_rates", "win_rates_by_language", "position_bias", "improvement_by_language", "estimates",
             "self_agreement")  # fmt: skip
    run_script(
        "tabulate_win_rates",
        input={"verdicts": [folder / f"verdicts/{p}/{code}.parquet" for p in synthetic.POLICIES for code in languages]},
        output={name: tables / f"{name}.csv" for name in rates},
        params={"mode": "paper", "runs": 5, "seed": 1, "base": "base", "languages": languages},
    )
    names = [*synthetic.POLICIES, *synthetic.OPPONENTS]
    run_script(
        "tabulate_biases",
        input={"verdicts": [folder / f"verdicts/{p}/{code}.parquet" for p in synthetic.POLICIES for code in languages],
               "answers": [folder / f"answers/{name}/{code}.parquet" for name in names for code in languages]},
        output={name: tables / f"{name}.csv" for name in ("length_bias", "wrong_languages")},
        params={"mode": "paper", "runs": 5, "seed": 1, "languages": languages},
    )  # fmt: skip
    counted = ("sources", "datasets")
    run_script(
        "tabulate_datasets",
        input={"pairs": folder / "pairs.parquet", "pairs_dropped": folder / "pairs.dropped.parquet"}
        | {
            kind: sorted(set(folder.glob(f"{kind}/*.parquet")) - set(folder.glob(f"{kind}/*.dropped.*")))
            for kind in counted
        }
        | {f"{kind}_dropped": sorted(folder.glob(f"{kind}/*.dropped.parquet")) for kind in counted}
        | {"diagnostics": sorted(folder.glob("diagnostics/*.parquet"))},
        output={name: tables / f"{name}.csv" for name in ("funnel", "dataset_counts", "diagnostics", "lengths")},
        params={"languages": languages},
    )
    run_script("tabulate_cost", input={"costs": sorted(folder.glob("completions/*/*.cost.json"))},
               output={"cost": tables / "cost.csv"})  # fmt: skip
    kinds = ("svg", "png", "csv")
    drawn = {f"{name}_{kind}": figures / f"{name}.{kind}" for name in FIGURES for kind in kinds}
    style = {"style": ROOT / "resources/figures.mplstyle"}
    logs = [folder / f"policies/{name}/log.csv" for name in "ABC"]
    run_script("plot_translation_heatmaps", input={"scores": tables / "translation_scores.csv"} | style, output=drawn,
               params={"languages": NAMES})  # fmt: skip
    run_script("plot_win_rates", input={name: tables / f"{name}.csv" for name in rates} | style, output=drawn,
               params={"languages": NAMES})  # fmt: skip
    run_script("plot_datasets", input={name: tables / f"{name}.csv" for name in ("lengths", "diagnostics")} | style,
               output=drawn, params={"languages": NAMES})  # fmt: skip
    run_script("plot_training", input={"logs": logs} | style, output=drawn,
               params=Named(architectures=list("ABC"), batch_size=32))  # fmt: skip
    run_script(
        "build_report",
        input={path.stem: path for path in tables.glob("*.csv")} | drawn | {
            "pairs": folder / "pairs.parquet",
            "datasets": [folder / f"datasets/{name}.parquet" for name in "ABC"],
            "training_logs": logs,
            "paper": sorted((ROOT / "resources/paper").glob("*.csv")),
        },
        output={"page": folder / "report/index.html"},
        params={
            "title": "Tea & <b>biscuits</b>", "subtitle": "A test", "sample_items": 2, "mode": "paper",
            "languages": {code: {"name": name, "endonym": name, "direction": "rtl" if code == "ar" else "ltr"}
                          for code, name in NAMES.items()},
            "config": {"title": "</pre><script>alert(4)</script>", "api_key": "sk-very-secret"}, "command": "snakemake",
        },
    )  # fmt: skip
    return folder / "report/index.html"


class Page(html.parser.HTMLParser):
    """Tags, attributes, and the content of style and script elements."""

    def __init__(self, source: str):
        super().__init__()
        self.tags, self.code, self.words, self._open = [], {}, [], None
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data):
        if self._open in ("style", "script"):
            self.code.setdefault(self._open, []).append(data)
        self.words.append(data)

    def handle_endtag(self, tag):
        self._open = None


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    synthetic.write_results(folder)
    pairs = synthetic.source("chatbot_arena")[0]
    hostile = folder / "datasets/A.parquet"
    frame = pd.read_parquet(hostile)
    frame.loc[frame["item_id"].eq(pairs["item_id"][1]), "chosen"] = HOSTILE
    synthetic.write(frame, hostile, synthetic.schemas.DATASET)
    return run_all(folder)


@pytest.fixture(scope="module")
def page(report) -> Page:
    return Page(report.read_text(encoding="utf-8"))


def test_one_style_one_script_named_by_digest(page):
    assert len(page.code["style"]) == len(page.code["script"]) == 1
    (policy,) = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    for (code,) in page.code.values():
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_nothing_comes_from_elsewhere(page):
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "img", "object", "embed", "base", "form", "foreignobject")
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "src", "srcset")]
        for name in ("href", "xlink:href"):
            assert attributes.get(name, "#").startswith("#")
    assert not re.search(r"url\(|@import|https?://", page.code["style"][0])


def test_ids_are_unique_and_links_lead_somewhere(page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {a[name][1:] for _, a in page.tags for name in ("href", "xlink:href") if name in a}
    assert targets <= set(ids)


def test_untrusted_text_is_text(page, report):
    words = "".join(page.words)
    assert "</td><script>alert(1)</script><img src=x onerror=alert(2)>" in words
    assert "[U+202E]gnp.exe" in words and "\u202e" not in report.read_text(encoding="utf-8")
    assert "characters in all)" in words and report.stat().st_size < 3_000_000
    assert "Tea & <b>biscuits</b>" in words and "</pre><script>alert(4)</script>" in words


def test_secrets_are_left_out(report):
    assert "sk-very-secret" not in report.read_text(encoding="utf-8")
    config = {"max_tokens": 5, "tokenizer": "x", "api_key_env": "OPENAI_API_KEY", "sources": [{"token": "hf_abc"}],
              "base_url": "https://me:pass@host/v1", "note": "hf_abcdefghijkl"}  # fmt: skip
    assert without_secrets(config) == config | {
        "sources": [{"token": "(left out)"}], "base_url": "(left out)", "note": "(left out)",
    }  # fmt: skip


def test_numbers_and_directions(page, report):
    rates = pd.read_csv(report.parent.parent / "tables/win_rates.csv")
    words = "".join(page.words)
    for value in rates["win_percent"]:
        assert f"{value:.2f}" in words
    assert "71.84" in words  # the paper's C against Gemma
    arabic = [a for _, a in page.tags if a.get("lang") == "ar" and "dir" in a]
    assert arabic and all(a["dir"] == "rtl" for a in arabic)


def test_same_inputs_same_page(report):
    before = report.read_bytes()
    assert run_all(report.parent.parent).read_bytes() == before


@pytest.mark.browser
def test_a_browser_shows_one_language_and_complains_of_nothing(report, tmp_path):
    """Any script or style that the policy does not know, and any error in the page's own, is a line on the console."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    command = [
        "chromium",
        *flags,
        "--enable-logging=stderr",
        f"--user-data-dir={tmp_path}",
        "--dump-dom",
        report.as_uri(),
    ]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in shown.stderr
    samples = [a for tag, a in Page(shown.stdout).tags if tag == "div" and a.get("class") == "sample"]
    assert [a["data-language"] for a in samples if "hidden" not in a] == ["ar"]


def _improvement(low: float, mean: float, high: float) -> pd.DataFrame:
    row = {"improvement": mean, "low": low, "high": high, "prompts": 9}
    return pd.DataFrame([{"policy": "B", "opponent": o, "language": code, **row} for o, code in
                         (("all", "all"), ("all", "de"), ("x", "all"), ("x", "de"))])  # fmt: skip


@pytest.mark.parametrize(
    ("interval", "start"),
    [((1, 2, 3), "B gains the most: +2.0"), ((-1, 2, 5), "No clear winner"), ((-3, -2, -1), "None: even the best"),
     ((float("nan"), 2, float("nan")), "No clear winner")],
)  # fmt: skip
def test_headline_says_what_the_interval_allows(interval, start):
    found = headline(_improvement(*interval))
    assert found.answer.startswith(start)
    by_chance = headline(_improvement(*interval).assign(p_adjusted=0.2))
    assert not by_chance.answer.startswith("B gains")
    assert "1 opponents" not in found.detail
    assert headline(_improvement(*interval).head(0)).answer.startswith("Nothing was compared")


def test_words():
    assert (text.signed(-0.04), text.signed(0.04), text.signed(-1.25)) == ("0.0", "0.0", "−1.2")
    assert (text.number(float("nan")), text.number(12345.678, 1)) == ("–", "12,345.7")
    assert (text.compact(33750), text.compact(1234567), text.compact(999)) == ("33.8k", "1.23M", "999")
    assert (text.duration(5), text.duration(90), text.duration(7200)) == ("5.0 s", "1.5 min", "2.0 h")
    assert (text.level(-61), text.level(8), text.level(60)) == (-4, 1, 4)


def test_a_figure_of_other_colours_gets_a_plate():
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="10pt"><style>*{}</style><path id="a" style="fill: {}"/></svg>'
    markup, themed = inline_svg(svg.replace("{}", "#000000", 2).replace("*#000000", "*{}"), "f", "t")
    assert not themed and "style" not in markup and 'id="f-a"' in markup
    markup, themed = inline_svg(svg.replace("fill: {}", "fill: #22262b"), "f", "t")
    assert themed and 'fill="currentColor"' in markup
