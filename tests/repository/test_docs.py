"""README and docs: every link and anchor has a target, and every make target, rule and command exists."""

import fnmatch
import re
import shlex
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
import synthetic
import yaml
from snakemake.cli import get_argument_parser

from polypref.cli import score_verdicts
from polypref.evaluation.agreement import judge_agreement
from polypref.evaluation.biases import detect_languages, flag_answers, wrong_languages
from polypref.evaluation.external import as_judged
from polypref.translation_quality.scores import score_translations

ROOT = Path(__file__).parents[2]
HIDDEN = {".venv", "results", ".snakemake", ".git"}
PAGES = sorted(page for page in ROOT.rglob("*.md") if not HIDDEN & set(page.relative_to(ROOT).parts))
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^\s*```.*?^\s*```", re.MULTILINE | re.DOTALL)
for_each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings on GitHub."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()).replace(" ", "-")
        number = sum(re.fullmatch(rf"{re.escape(slug)}(-\d+)?", other) is not None for other in found)
        found.add(f"{slug}-{number}" if number else slug)
    return found


@for_each_page
def test_links_and_anchors_have_targets(page):
    broken = []
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            broken.append(target)
    assert not broken


def code(page: Path) -> list[str]:
    """Return the lines of fenced blocks and the code spans outside them."""
    text = page.read_text(encoding="utf-8")
    blocks = [line.strip() for block in FENCE.findall(text) for line in block.splitlines()[1:-1]]
    return blocks + re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


def rules() -> set[str]:
    found: set[str] = set()
    for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]:
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r"^\s*rule (\w+):", text, re.MULTILINE)) | set(re.findall(r'name:\s*"([\w-]+)"', text))
    return found


@for_each_page
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    called = {name for line in code(page) for name in re.findall(r"(?:^|&& )make ([a-z][a-z0-9-]*)", line)}
    assert called <= targets


@for_each_page
def test_snakemake_commands_parse_and_their_rules_exist(page):
    known, parser = rules(), get_argument_parser()
    for line in code(page):
        words = shlex.split(line, comments=True) if re.match(r"(\.venv/bin/)?snakemake ", line) else []
        if not words or "RULE" in words:
            continue
        given = parser.parse_args(words[1:])
        files = given.configfile or []
        assert all(str(file).endswith((".yaml", ".yml")) for file in files), f"{line}: a target after --configfile"
        names = [*given.targets, *(given.forcerun or [])]
        unknown = [name for name in names if name not in known and not name.startswith("results/")]
        assert not unknown, line


@for_each_page
def test_files_that_the_docs_mention_exist(page):
    if page.name == "CHANGELOG.md":
        return
    folders = "config|docs|profiles|requirements|resources|rules|tests|tools|workflow|bench"
    paths = {path for line in code(page) for path in re.findall(rf"(?<![\w./-])((?:{folders})/[\w./-]+\w)", line)}
    assert not {path for path in paths if not (ROOT / path).exists() and not (page.parent / path).exists()}


def test_subcommands_of_polypref_exist():
    package = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow/scripts/polypref").rglob("*.py"))
    offered = set(re.findall(r'add_parser\(\s*"([\w-]+)"', package))
    called = {name for page in PAGES for line in code(page) for name in re.findall(r"-m polypref ([\w-]+)", line)}
    assert called and called <= offered


def test_the_index_lists_every_page_and_the_citation_has_the_version():
    linked = set(LINK.findall((ROOT / "docs/index.md").read_text(encoding="utf-8")))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"} <= linked
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert f'version = "{cited["version"]}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def columns_of_tables() -> dict[str, set[str]]:
    """Evaluate a few verdicts and translations, and return the columns by table."""
    judged = pd.concat([synthetic.verdicts(p, code, 6) for p in ("base", "A") for code in ("de", "is")])
    judged = as_judged(judged.assign(policy_length=3, opponent_length=4))
    segments = {"de": synthetic.segments("de", 12)}
    texts = {(name, "de"): synthetic.translations(segments["de"], noise) for name, noise in (("a", 0.1), ("b", 0.4))}
    scores, comparisons = score_translations(segments, texts, {"de": "13a"}, draws=20)
    answers = pd.DataFrame({"name": ["a"], "language": ["de"], "text": ["Das ist ein Haus am See und am Wald."]})
    answers = answers.assign(item_id="i", finish_reason="length")
    detected = detect_languages(answers, ["de", "is"])
    tables = {
        **score_verdicts(judged, "base", 20, 1),
        "judge_agreement": judge_agreement(judged, judged, ["de", "is"], 20),
        "wrong_languages": wrong_languages(answers, detected), "answer_flags": flag_answers(answers, detected),
        "scores": scores, "comparisons": comparisons,
    }  # fmt: skip
    return {name: set(table.columns) for name, table in tables.items()}


def test_every_column_of_the_tables_is_documented():
    section = (ROOT / "docs/statistics.md").read_text(encoding="utf-8").split("## Columns")[1].split("\n## ")[0]
    documented: dict[str, set[str]] = {}
    tables: list[str] = []
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 3:
            tables = re.findall(r"`(\w+)`", cells[0]) or tables
            for name in tables:
                documented.setdefault(name, set()).update(re.findall(r"`([\w*]+)`", " ".join(cells)))
    keys = {"policy", "opponent", "language", "translator", "other", "name"}
    found = columns_of_tables()
    assert set(found) <= set(documented)
    for table, columns in found.items():
        missing = {c for c in columns - keys if not any(fnmatch.fnmatch(c, one) for one in documented[table])}
        assert not missing, f"{table}: {sorted(missing)}"
