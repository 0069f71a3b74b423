"""The report of a large synthetic run in a browser: finding single rows, samples, and what a page loads."""

import functools
import http.server
import re
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
import synthetic
from browsing import choose, click, found, page, text_of, visit
from reporting import make_report, write_report
from selenium.webdriver.common.by import By

from polypref.report.pages import PAGES

pytestmark = pytest.mark.browser
FIRST_BYTES = 1_500_000
"""What a page may load before it shows its first row, of reports of any size."""


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """The report of a run of the published experiment's size: 33,750 rows and 16,200 judged pairs."""
    folder = tmp_path_factory.mktemp("large")
    synthetic.write_results(folder, prompts=150, per_source=556, n_segments=50, sentences=20)
    return make_report(folder).parent


class Counted(http.server.SimpleHTTPRequestHandler):
    """A server that counts the bytes of the files it sends."""

    sent = 0

    def copyfile(self, source, outputfile):
        data = source.read()
        type(self).sent += len(data)
        outputfile.write(data)

    def log_message(self, *_):
        pass


def test_find_the_pairs_whose_chosen_text_is_in_the_wrong_language(browser, large):
    signs = pd.read_parquet(large.parent / "diagnostics/B.parquet")
    flagged = signs["flags"].map(lambda flags: "chosen_wrong_language" in flags) & signs["language"].eq("is")
    visit(browser, page(large, "data"))
    click(browser, "a[href$='language=is&architecture=B&flag=chosen_wrong_language']")
    assert found(browser) == flagged.sum() > 50
    first = text_of(browser, ".pane h3")
    assert first == signs.loc[flagged, "item_id"].min()
    marks = browser.find_elements(By.CSS_SELECTOR, ".chosen td[data-label=B] .chip")
    assert [mark.text for mark in marks] == ["detected as Danish", "wrong language"]
    browser.find_element(By.NAME, "on").click()
    assert text_of(browser, ".pager span").startswith("51–100 of")
    click(browser, "[rel=next]")
    assert text_of(browser, ".pane h3") == signs.loc[flagged, "item_id"].sort_values().iloc[1]


def test_a_sample_says_how_many_flagged_pairs_it_does_not_show(browser, large):
    sampled = write_report(large.parent, name="sampled", shown_pairs=9_000, shown_verdicts=3_000).parent
    signs = pd.read_parquet(large.parent / "diagnostics/B.parquet")
    flagged = signs["flags"].map(lambda flags: "chosen_wrong_language" in flags) & signs["language"].eq("is")
    visit(browser, page(sampled, "data"))
    click(browser, "a[href$='language=is&architecture=B&flag=chosen_wrong_language']")
    status = text_of(browser, ".status")
    assert 0 < found(browser) < flagged.sum()
    assert "pairs in the sample" in status and f"· {flagged.sum()} in the data set" in status
    assert re.search(r"A random sample of [\d,]+ of 1,251 pairs", text_of(browser, ".sample"))
    choose(browser, "flag", "")
    assert found(browser) < 1251 and "in the data set" not in text_of(browser, ".status")
    visit(browser, page(sampled, "verdicts"))
    assert "judged pairs in the sample" in text_of(browser, ".status") and found(browser) < 16_200


def test_find_a_confidence_interval(browser, large):
    table = pd.read_csv(large.parent / "tables/improvement_by_language.csv").set_index(
        ["policy", "opponent", "language"]
    )
    row = table.loc["B", "llama-3-8b", "all"]
    visit(browser, page(large, "index"))
    heads = [th.text for th in browser.find_elements(By.CSS_SELECTOR, ".improvement thead th")]
    (cells,) = [tr for tr in browser.find_elements(By.CSS_SELECTOR, ".improvement tbody tr") if "B − base" in tr.text]
    cell = cells.find_elements(By.CSS_SELECTOR, "th, td")[heads.index("against llama-3-8b")]
    assert (
        cell.text.replace("−", "-").split()
        == f"{row['improvement']:+.1f} {row['low']:+.1f} to {row['high']:+.1f}".split()
    )


@pytest.mark.parametrize("name", [page.stem for page in PAGES])
def test_pages_load_few_bytes_from_a_server(browser, large, name, record_property):
    handler = type("Here", (Counted,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(large)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        visit(browser, f"http://127.0.0.1:{server.server_port}/{name}.html")
    finally:
        server.shutdown()
        server.server_close()
    assert 0 < handler.sent < FIRST_BYTES
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        visit(browser, page(large, name))
        seconds.append(time.monotonic() - began)
    figures = f"{name}: {handler.sent / 1000:,.0f} kB at first from a server, {min(seconds):.2f} s from a file"
    record_property("figures", figures)


def test_a_linked_row_is_in_sight_and_the_page_is_not_scrolled(browser, large):
    items = pd.read_parquet(large.parent / "pairs.parquet")["item_id"]
    visit(browser, page(large, "reader"), language="de", item=items[640])
    assert text_of(browser, ".pane h3") == items[640] and text_of(browser, ".pager span").startswith("601–650 of")
    inside = """
      const box = (name) => document.querySelector(name).getBoundingClientRect();
      const [list, row] = [box(".list"), box(".list [aria-current]")];
      return [scrollY, row.top >= list.top && row.bottom <= list.bottom];"""
    assert browser.execute_script(inside) == [0, True]
    before = browser.execute_script("return document.querySelector('.list').scrollTop")
    click(browser, "[rel=next]")
    assert text_of(browser, ".pane h3") == items[641] and browser.execute_script(inside) == [0, True]
    assert abs(browser.execute_script("return document.querySelector('.list').scrollTop") - before) < 200


def test_all_rows_of_a_large_run_are_there(browser, large):
    visit(browser, page(large, "reader"), language="ja")
    assert found(browser) == 1251 and len(browser.find_elements(By.CSS_SELECTOR, ".list li")) == 50
    visit(browser, page(large, "verdicts"))
    assert found(browser) == 16_200 and len(browser.find_elements(By.CSS_SELECTOR, ".list li")) == 50
