"""The report in Chromium: pages, filters, links, and pictures.

Pictures of every page of the miniature go to ``build/screenshots/``: phone, tablet and desktop, light and dark.
"""

import base64
import shutil
from pathlib import Path

import pandas as pd
import pytest
from browsing import choose, click, found, page, search, settled, text_of, visit
from selenium.webdriver.common.by import By

from polypref.report.pages import PAGES

pytestmark = pytest.mark.browser
SCREENSHOTS = Path(__file__).parents[2] / "build/screenshots"
WIDTHS = {"phone": 390, "tablet": 820, "desktop": 1400}


@pytest.mark.parametrize("name", [page.stem for page in PAGES])
def test_pages_fit_every_screen(browser, miniature, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for device, width in WIDTHS.items():
        for scheme in ("light", "dark"):
            metrics = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            dark = [{"name": "prefers-color-scheme", "value": scheme}]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": dark})
            visit(browser, page(miniature.results / "report", name))
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width
            whole = {"captureBeyondViewport": True, "clip": {
                "x": 0, "y": 0, "width": width, "scale": 1,
                "height": browser.execute_script("return document.documentElement.scrollHeight"),
            }}  # fmt: skip
            picture = browser.execute_cdp_cmd("Page.captureScreenshot", whole)
            (SCREENSHOTS / f"{name}-{device}-{scheme}.png").write_bytes(base64.b64decode(picture["data"]))
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    (SCREENSHOTS / f"{name}.pdf").write_bytes(base64.b64decode(printed["data"]))


def test_the_navigation_leads_to_every_page(browser, miniature):
    visit(browser, page(miniature.results / "report", "index"))
    for other in PAGES:
        browser.find_element(By.LINK_TEXT, other.name).click()
        assert browser.current_url.split("#")[0].endswith(f"/{other.stem}.html")
        assert browser.find_element(By.CSS_SELECTOR, "nav [aria-current]").text == other.name
        if other.scripts:
            settled(browser)


# -- tasks ----------------------------------------------------------------------------------------------------------


def test_find_verdicts_that_change_with_the_order(browser, miniature):
    report = miniature.results / "report"
    bias = pd.read_csv(miniature.results / "tables/position_bias.csv").set_index(["policy", "opponent"])["flipped"]
    visit(browser, page(report, "win_rates"))
    click(browser, "a[href='verdicts.html#language=all&outcome=changed']")
    assert found(browser) == bias["all", "all"]
    choose(browser, "policy", "A")
    choose(browser, "opponent", "mid")
    assert found(browser) == bias["A", "mid"]
    first, second = (element.text for element in browser.find_elements(By.CSS_SELECTOR, ".judged .verdict"))
    assert first != second
    wins = [element.text for element in browser.find_elements(By.CSS_SELECTOR, ".judged td:last-child")]
    assert len(wins) == 2 and "A against mid" in text_of(browser, ".pane h3")


def test_compare_two_architectures_on_one_pair(browser, miniature):
    report = miniature.results / "report"
    kept = {name: pd.read_parquet(miniature.results / f"datasets/{name}.parquet") for name in "AB"}
    visit(browser, page(report, "reader"), language="is")
    item = text_of(browser, ".pane h3")
    for column in ("English", "C"):
        click(browser, f".columns [value={column}]")
    assert [th.text for th in browser.find_elements(By.CSS_SELECTOR, ".texts thead th")] == ["A", "B"]
    for name, frame in kept.items():
        row = frame[frame["language"].eq("is") & frame["item_id"].eq(item)].iloc[0]
        for field in ("prompt", "chosen", "rejected"):
            assert text_of(browser, f".{field} td[data-label={name}] .text") == row[field]
    address = browser.find_element(By.CLASS_NAME, "permalink").get_attribute("href")
    visit(browser, address)
    assert text_of(browser, ".pane h3") == item
    assert [th.text for th in browser.find_elements(By.CSS_SELECTOR, ".texts thead th")] == ["A", "B"]


def test_find_what_a_batch_cost(browser, miniature):
    cost = pd.read_csv(miniature.results / "tables/cost.csv").set_index(["task", "checkpoint"])
    visit(browser, page(miniature.results / "report", "index"))
    browser.find_element(By.LINK_TEXT, "Cost").click()
    (row,) = [tr for tr in browser.find_elements(By.CSS_SELECTOR, "tbody tr") if tr.text.startswith("judge/judge")]
    batch = cost.loc["judge", "judge"]
    for number in (batch["requests"], batch["prompt_tokens"], batch["completion_tokens"]):
        assert f"{int(number):,}" in row.text


# -- filters and links ----------------------------------------------------------------------------------------------


def test_the_reader_filters(browser, miniature):
    results = miniature.results
    pairs = pd.read_parquet(results / "pairs.parquet")
    visit(browser, page(results / "report", "reader"), language="ar")
    assert found(browser) == len(pairs)
    texts = browser.find_elements(By.CSS_SELECTOR, "td[data-label=A] .text")
    assert {text.get_attribute("dir") for text in texts} == {"rtl"} and texts[0].value_of_css_property(
        "unicode-bidi"
    ) == "isolate"
    choose(browser, "source", "gutenberg")
    assert found(browser) == pairs["source"].eq("gutenberg").sum()
    choose(browser, "source", "")
    choose(browser, "flag", "left")
    dropped = pd.concat(pd.read_parquet(results / f"datasets/{name}.dropped.parquet") for name in "ABC")
    assert found(browser) == dropped.loc[dropped["language"].eq("ar"), "item_id"].nunique()
    choose(browser, "flag", "")
    choose(browser, "language", "de")
    word = "Katze"
    german = pd.concat(pd.read_parquet(results / f"datasets/{name}.parquet") for name in "ABC")
    german = german[german["language"].eq("de")]
    holds = (
        german[["prompt", "chosen", "rejected"]].apply(lambda column: column.str.contains(word, case=False)).any(axis=1)
    )
    search(browser, word)
    assert found(browser) == german.loc[holds, "item_id"].nunique() > 0
    browser.find_elements(By.CSS_SELECTOR, ".list a")[
        1
    ].click()  # the text field fires its change event when it loses the focus
    settled(browser)
    assert browser.find_elements(By.CSS_SELECTOR, ".list a")[1].get_attribute("aria-current") == "true"
    browser.refresh()
    settled(browser)
    assert browser.find_element(By.NAME, "text").get_attribute("value") == word
    assert found(browser) == german.loc[holds, "item_id"].nunique()
    search(browser, "nothing has this in it")
    assert found(browser) == 0 and not text_of(browser, ".pane")
    click(browser, ".status .clear")
    assert found(browser) == len(pairs) and browser.find_element(By.NAME, "language").get_attribute("value") == "de"


def test_the_verdict_browser_filters(browser, miniature):
    verdicts = pd.concat(map(pd.read_parquet, (miniature.results / "verdicts").glob("*/is.parquet")))
    both = verdicts.pivot(index=["item_id", "policy", "opponent"], columns="order", values="verdict")
    visit(browser, page(miniature.results / "report", "verdicts"), language="is")
    assert found(browser) == len(both)
    for winner in ("policy", "opponent", "tie"):
        choose(browser, "outcome", winner)
        assert found(browser) == both.eq(winner).all(axis=1).sum()
    choose(browser, "outcome", "")
    link = browser.find_elements(By.CSS_SELECTOR, ".list a")[7]
    named = link.get_attribute("href")
    link.click()
    settled(browser)
    shown = text_of(browser, ".pane")
    visit(browser, named)
    assert text_of(browser, ".pane") == shown
    models = {path.name for path in (miniature.results / "answers").iterdir()}
    click(browser, ".rest summary")
    named = [title.text for title in browser.find_elements(By.CSS_SELECTOR, ".pane .answers h4 b")]
    assert len(named) == len(models) and set(named) == models
    click(browser, ".rest summary")
    browser.find_elements(By.CSS_SELECTOR, ".others a")[0].click()
    settled(browser)
    assert text_of(browser, ".pane") != shown
    browser.back()
    settled(browser)
    assert text_of(browser, ".pane") == shown


def test_each_figure_links_to_its_files(browser, miniature):
    report = miniature.results / "report"
    for name, figures in {"win_rates": 4, "translation": 2, "data": 2, "training": 1}.items():
        visit(browser, page(report, name))
        links = [link.get_attribute("href") for link in browser.find_elements(By.CSS_SELECTOR, ".files a")]
        assert len(links) == 3 * figures
        for link in links:
            file = Path(link.removeprefix("file://"))
            assert file.read_bytes() == (miniature.results / "figures" / file.name).read_bytes()


def test_an_incomplete_folder_reports_what_is_missing(chromium, miniature, tmp_path):
    report = shutil.copytree(miniature.results / "report", tmp_path / "report")
    (report / "data/reader-is-000.js").unlink()
    visit(chromium, page(report, "reader"), language="is")
    assert "data/reader-is-000.js could not be read" in text_of(chromium, ".status")
    choose(chromium, "language", "de")
    assert found(chromium) == 50 and text_of(chromium, ".pane h3")
    chromium.get_log("browser")
