"""Helpers for tests of the report in a browser: open a page with filters, click, choose, search, read."""

import re
from pathlib import Path
from urllib.parse import urlencode

from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait


def settled(browser) -> None:
    """Wait until a page shows the rows that match the filters in its address."""
    WebDriverWait(browser, 60, 0.02).until(
        lambda _: browser.execute_script("return document.body.dataset.ready === location.hash")
    )


def visit(browser, address: str, **filters: str) -> None:
    """Load a page with filters in its address."""
    browser.get("about:blank")
    browser.get(address + ("#" + urlencode(filters) if filters else ""))
    if browser.find_elements(By.CLASS_NAME, "filters"):
        settled(browser)


def page(report: Path, name: str) -> str:
    return (report / f"{name}.html").as_uri()


def click(browser, selector: str) -> None:
    browser.find_element(By.CSS_SELECTOR, selector).click()
    if browser.find_elements(By.CLASS_NAME, "filters"):
        settled(browser)


def choose(browser, name: str, value: str) -> None:
    Select(browser.find_element(By.NAME, name)).select_by_value(value)
    settled(browser)


def search(browser, text: str) -> None:
    field = browser.find_element(By.NAME, "text")
    field.clear()
    field.send_keys(text)
    WebDriverWait(browser, 10).until(lambda _: urlencode({"text": text}) in browser.current_url)
    settled(browser)


def text_of(browser, selector: str) -> str:
    return browser.find_element(By.CSS_SELECTOR, selector).text


def found(browser) -> int:
    """Return the number of rows that match the filters."""
    return int(re.match(r"[\d,]+", text_of(browser, ".status"))[0].replace(",", ""))
