"""A report of hostile texts in Chromium: they are shown as text, nothing runs and nothing breaks."""

import re
import time
from pathlib import Path

import hostile
import pytest
from browsing import choose, found, page, search, text_of, visit
from reporting import make_report
from selenium.webdriver.common.by import By

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """The report of a small run with hostile texts."""
    folder = tmp_path_factory.mktemp("hostile")
    hostile.write_hostile(folder)
    return make_report(folder).parent


@pytest.mark.parametrize("language", ["ar", "is", "ja", "ru", "zh"])
def test_letters_are_not_empty_boxes(browser, small, language):
    """The pages use the system's fonts; tools/install-packages.sh installs those that Debian's Chromium lacks."""
    visit(browser, page(small, "reader"), language=language)
    draw = """
      const [text] = arguments;
      const draw = (letter) => {
        const canvas = Object.assign(document.createElement("canvas"), { width: 60, height: 60 });
        const pen = canvas.getContext("2d");
        pen.font = `40px ${getComputedStyle(text).fontFamily}`;
        pen.fillText(letter, 5, 45);
        return canvas.toDataURL();
      };
      const box = draw("\\u{10fffd}");
      return [...new Set(text.textContent.match(/\\p{L}/gu))].map((letter) => [letter, draw(letter) === box]);"""
    letters = browser.execute_script(draw, browser.find_element(By.CSS_SELECTOR, ".chosen td[data-label=A] .text"))
    assert len(letters) > 5 and not [letter for letter, boxed in letters if boxed]


def harmless(browser) -> None:
    """Check that no code ran, no element was injected, and no request was sent."""
    assert browser.execute_script("return document.body.dataset.ran") is None
    assert not browser.find_elements(
        By.CSS_SELECTOR, "main :is(script, img, iframe, svg, style, meta, base, [onerror])"
    )
    assert not browser.find_elements(By.CSS_SELECTOR, "a[href^='javascript:']")
    asked = browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert all(re.search(r"/report/data/[a-z0-9-]+\.js$", name) for name in asked if not name.startswith("data:,"))


@pytest.mark.parametrize("language", ["is", "ar"])
def test_hostile_pairs_are_text(browser, small, language):
    visit(browser, page(small, "reader"), language=language, item=hostile.ITEM)
    harmless(browser)
    assert text_of(browser, ".pane h3") == hostile.ITEM
    cell = ".{} td[data-label={}] .text".format
    assert text_of(browser, cell("prompt", "B")) == hostile.TEXTS["script"]
    assert text_of(browser, cell("chosen", "B")) == hostile.TEXTS["handler"]
    turned = browser.find_elements(By.CSS_SELECTOR, ".chosen td[data-label=B] .turned[dir=ltr]")
    assert len(turned) == (language == "ar"), "lines of code run from left to right in Arabic too"
    bidi = browser.find_element(By.CSS_SELECTOR, cell("rejected", "A"))
    assert bidi.text.startswith("U+202E") and "\u202e" not in bidi.text and "U+E0041" in bidi.text
    long = browser.find_element(By.CSS_SELECTOR, cell("chosen", "A"))
    assert len(long.text) < 30_000
    browser.execute_script("arguments[0].querySelector('button').click()", long)
    assert browser.execute_script("return arguments[0].textContent.length", long) == 1_000_000
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    search(browser, "<script>document.body")
    assert found(browser) == 1
    harmless(browser)


def test_hostile_reasons_are_text(browser, small):
    visit(browser, page(small, "reader"), language="is", flag="left", item="chatbot_arena-000")
    assert "U+202E" in text_of(browser, "td[data-label=B]") and "<script>" in text_of(browser, "td[data-label=B]")
    harmless(browser)


def test_hostile_answers_and_replies_are_text(browser, small):
    pair = f"ar-{hostile.PROMPT:04d}/B/llama-3-8b/tiny"
    visit(browser, page(small, "verdicts"), language="ar", pair=pair)
    harmless(browser)
    replies = [code.text for code in browser.find_elements(By.CSS_SELECTOR, ".reply")]
    assert len(replies) == 2 and all(hostile.TEXTS["script"] in reply for reply in replies)
    assert text_of(browser, ".judged td:last-child").endswith("unparsed reply")
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    choose(browser, "outcome", "unparsed")
    search(browser, "onerror=")
    assert found(browser) > 0
    harmless(browser)


@pytest.mark.parametrize("name", ["reader", "verdicts"])
def test_a_hostile_address_does_nothing(browser, small, name):
    bad = f"\"'><script>{hostile.RUN}</script><img src=x onerror={hostile.RUN}>"
    for value in (bad, "__proto__", "constructor"):
        visit(browser, page(small, name), language=value, item=value, pair=value, flag=value, show=value, text=value)
        harmless(browser)


def test_the_content_policy_also_blocks_injected_code(chromium, small):
    visit(chromium, page(small, "reader"), language="is")
    inject = f"""
      try {{ document.querySelector(".pane").innerHTML = "<b>x</b>"; return "written"; }} catch {{}}
      const link = document.createElement("a"); link.href = "javascript:{hostile.RUN}";
      document.body.append(link); link.click();
      const image = document.createElement("img"); image.src = "x.png";
      try {{ image.setAttribute("onerror", "{hostile.RUN}"); return "set"; }} catch {{}}
      const script = document.createElement("script");
      try {{ script.text = "{hostile.RUN}"; return "set"; }} catch {{}}
      return "refused";
    """
    assert chromium.execute_script(inject) == "refused"
    time.sleep(0.3)
    assert chromium.execute_script("return document.body.dataset.ran") is None
    chromium.get_log("browser")
