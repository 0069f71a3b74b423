"""The links of the health checks in Chromium: from the overview to the rows behind a value."""

from pathlib import Path

import judges
import pandas as pd
import pytest
import synthetic
from browsing import found, page, settled, text_of, visit
from reporting import make_report
from selenium.webdriver.common.by import By

from polypref.files import schemas

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """A report on a judge that always chooses A, and on a policy with three truncated answers."""
    folder = tmp_path_factory.mktemp("always_a")
    synthetic.write_results(folder)
    judges.plant(folder, "always_a")
    path = folder / "answers/B/de.parquet"
    answers = pd.read_parquet(path)
    answers.loc[answers.index[:3], "finish_reason"] = "length"
    synthetic.write(answers, path, schemas.TEXTS)
    return make_report(folder).parent


def follow(browser, report: Path, title: str) -> None:
    """Click on a check in the overview."""
    visit(browser, page(report, "index"))
    for details in browser.find_elements(By.CSS_SELECTOR, "#checks details"):
        details.find_element(By.TAG_NAME, "summary").click()
    browser.find_element(By.LINK_TEXT, title).click()
    if browser.find_elements(By.CLASS_NAME, "filters"):
        settled(browser)


def test_every_verdict_of_a_judge_that_says_a_depends_on_the_order(browser, report):
    follow(browser, report, "Judge: position bias")
    verdicts = pd.concat(pd.read_parquet(path) for path in (report.parent / "verdicts").glob("*/*.parquet"))
    assert found(browser) == len(verdicts[["item_id", "policy", "opponent"]].drop_duplicates()) > 0


def test_longer_answers_that_won(browser, report):
    follow(browser, report, "Judge: preference for the longer answer")
    assert found(browser) > 0
    lengths = [len(box.text) for box in browser.find_elements(By.CSS_SELECTOR, ".answers:not(.rest .answers) .text")]
    assert lengths[0] != lengths[1], "one of the two wins in either order, so all pairs of unequal length are listed"


def test_truncated_answers(browser, report):
    follow(browser, report, "Answers cut off at max_tokens")
    assert text_of(browser, "[name=policy] option:checked") == "B"
    assert found(browser) == 3 * len(synthetic.OPPONENTS)
    assert "truncated at the maximum length" in text_of(browser, ".answers")


def test_flagged_pairs_of_a_data_set(browser, report):
    follow(browser, report, "Training texts in the wrong language")
    state = {name: text_of(browser, f"[name={name}] option:checked") for name in ("language", "architecture", "flag")}
    code = browser.find_element(By.NAME, "language").get_attribute("value")
    signs = pd.read_parquet(report.parent / f"diagnostics/{state['architecture']}.parquet")
    flag = state["flag"].replace(" ", "_")
    has = signs["language"].eq(code) & signs["flags"].map(lambda flags: flag in flags)
    assert flag.endswith("wrong_language") and found(browser) == has.sum() > 0


def test_the_sanity_set_lists_wrong_verdicts(browser, report):
    follow(browser, report, "Judge: an answer beats the answer to another prompt")
    assert browser.current_url.endswith("win_rates.html#sanity")
    sanity = pd.read_parquet(report.parent / "verdicts/sanity.parquet")
    known = sanity["policy"].map({"itself": "tie"}).fillna("policy")
    wrong = sanity["verdict"].ne(known).sum()
    assert f"gave {wrong:,} of {len(sanity):,} verdicts another result" in text_of(browser, "main")
    rows = browser.find_elements(By.XPATH, "//summary[text()='The verdicts with another result']/..//tbody/tr")
    assert len(rows) == wrong
