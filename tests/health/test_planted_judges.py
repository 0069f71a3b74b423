"""Simulated judges are described correctly on the first page of the report."""

import io
import re
import shutil
from html import unescape

import judges
import pandas as pd
import pytest
import synthetic
from reporting import make_report

from polypref.config.health import Health
from polypref.evaluation.biases import add_lengths, length_bias
from polypref.files.result_tables import read_csv
from polypref.health.conclusion import describe_judge, no_conclusion
from polypref.health.judge import judge_checks
from polypref.running.summary import print_summary

NAMED = {
    "always_a": ("The judge decides by position", "the answer shown first in 100% of its decided verdicts", True),
    "random": ("cannot be distinguished from one that answers at random", "no better than chance", True),
    "length": ("The judge decides by length", "the longer answer in 100% of its decided verdicts", True),
    "right_70": ("The judge is noisy", r"right about (6[789]|7[0123])% of the time", False),
    "good": ("The judge passes the checks", "", False),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    synthetic.write_results(folder)
    return folder


@pytest.mark.e2e  # seconds of computing: a whole report per judge
@pytest.mark.parametrize("kind", judges.KINDS)
def test_judge_is_named_on_the_first_page(results, tmp_path, kind):
    folder = shutil.copytree(results, tmp_path / "results")
    judges.plant(folder, kind)
    page = make_report(folder).read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page.split("<main")[1])))
    name, reason, void = NAMED[kind]
    start = text[: text.index("Checks The worst")]
    assert name in start and re.search(reason, start), start
    assert [other for other, (words, _, _) in NAMED.items() if words in start] == [kind]
    assert ("No conclusion can be drawn" in start) == void
    assert not void or not re.search(r"gains the most|clear winner|best variant", start)
    health = read_csv(folder / "tables/health.csv")
    assert health["check"].nunique() >= 24 and set(health["status"]) <= {"pass", "warn", "fail", "unknown"}
    assert (read_csv(folder / "tables/improvement_by_language.csv")["detectable"].dropna() > 0).all()
    printed = io.StringIO()
    print_summary(folder, 0, printed)
    assert ("No conclusion can be drawn from this run." in printed.getvalue()) == void


@pytest.mark.parametrize("kind", judges.KINDS)
def test_judge_is_named_whatever_the_seed(kind):
    answers = pd.concat(
        synthetic.answers(name, code, 20).assign(name=name)
        for name in [*synthetic.POLICIES, *synthetic.OPPONENTS]
        for code in synthetic.LANGUAGES
    )
    answers = answers.assign(length=answers["text"].str.len())
    limits = Health().model_dump(exclude={"sanity_prompts"})
    for seed in range(5):
        frames, sanity = judges.judged(kind, seed=seed)
        verdicts = pd.concat(frames.values(), ignore_index=True)
        bias = length_bias(add_lengths(verdicts, answers))
        health = pd.DataFrame(judge_checks(verdicts, sanity, bias, None, limits))
        named = [other for other, (words, _, _) in NAMED.items() if words in describe_judge(health)]
        assert named == [kind], seed
        assert bool(no_conclusion(health)) == NAMED[kind][2]


def test_headline_is_unchanged_without_health_checks():
    from polypref.report.headline import headline

    empty = pd.DataFrame(columns=["opponent", "language"])
    assert headline(empty, None) == headline(empty)
