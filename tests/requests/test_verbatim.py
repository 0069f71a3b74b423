"""Detecting the markup in a text, and the parts that a translation must not change."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypref.requests import verbatim
from polypref.requests.splitting import split_text
from polypref.requests.verbatim import protected, segments

MARKS = st.lists(
    st.sampled_from(
        ["```", "````", "~~~", "```py", "$$", "\\[", "\\]", "\\begin{align}", "\\end{align}", "\\begin{enumerate}",
         "\\item ", "> ", "- ", "    ", "\n", "\r\n", "\r", "\u2028", "\x0b", "\x00", " ", "Go home now, please.",
         "x = 1", "`a`", "https://a.b/c"]
    ),
    max_size=30,
).map("".join)  # fmt: skip


@given(st.one_of(st.text(), MARKS))
def test_segments_join_to_the_text(text):
    assert "".join(part for part, _ in segments(text)) == text


@given(MARKS | st.from_regex(verbatim._PROTECTED))
def test_protected_parts_have_a_sign(text):
    assert all(verbatim._SIGN.search(match[0]) for match in verbatim._PROTECTED.finditer(text))


@given(MARKS, st.sampled_from(["lines", "sentences"]))
def test_pieces_join_to_the_text(text, unit):
    assert "".join(piece.before + piece.text + piece.after for piece in split_text(text, unit)) == text


@given(MARKS)
def test_no_delimiter_hides_a_plain_line_at_the_end(text):
    pieces = split_text(f"{text}\n\nA plain last line.", "lines")
    assert pieces[-1].text.endswith("A plain last line.")


def asked(text: str) -> list[str]:
    return [piece.text for piece in split_text(text, "lines") if piece.text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```ls -l``` What does it show?\nSay more.", ["```ls -l``` What does it show?", "Say more."]),
        ("~~~ is a fence.\nSay more.", ["~~~ is a fence.", "Say more."]),
        ("````\n```\nx = y\n```\n````\nSay more.", ["Say more."]),
        ("```md\n```py\nx = y\n```\nSay more.", ["Say more."]),
        ("```py\nx = y\n```  \nSay more.", ["Say more."]),
        ("1. Run this:\n\n       ```sh\n       ls\n       ```\n2. Read it.", ["Run this:", "Read it."]),
        ("> ```sh\n> ls\n> ```\nSay more.", ["Say more."]),
        ("- ```sh\n  ls\nSay more.\n```sh\nls\n```\nEnd.", ["```sh", "ls", "Say more.", "End."]),
        ("$$ holds the process id.\nPrint it with $$ at the end.", None),
        ("$$ holds the process id.\n\nSecond: $$", ["$$ holds the process id.", "Second: $$"]),
        ("$$\na^2 + b^2\n$$\nSay more.", ["Say more."]),
        ("$$a = 2$$ is given. Find b.", ["is given. Find b."]),
        ("\\[ a = 2 \\] holds, and \\[ b = 1 \\].\nFind c.", ["holds, and \\[ b = 1 \\].", "Find c."]),
        ("\\[Editor's note\\] He wrote this.", ["\\[Editor's note\\] He wrote this."]),
        ("\\begin{itemize}\n\\item A river.\n\\item[b)] A lake.\n\\end{itemize}", ["A river.", "A lake."]),
        ("\\begin{align*}\na &= b \\\\\n\nc &= \\text{the area of it}\n\\end{align*} Say more.", ["Say more."]),
        ("\\begin{equation}\nName a river and a lake.\nSay more.", ["Name a river and a lake.", "Say more."]),
        ("\\begin{quote}\nTo be or not to be.\n\\end{quote}", ["To be or not to be."]),
        ("\\begin{lstlisting}\nfor word in the long list\n\\end{lstlisting}\nSay more.", ["Say more."]),
        ("See:\nhttps://a.org/b?c=d\n`make all`\nSay more.", ["See:", "Say more."]),
        ("`Name all rivers of the country`\nSay more.", ["`Name all rivers of the country`", "Say more."]),
    ],
)  # fmt: skip
def test_only_certain_markup_stays_verbatim(text, expected):
    assert asked(text) == (expected or text.split("\n"))


def test_protected_parts_of_a_text():
    text = "See (https://a.org/b?c=d&e). Run `pip install x`, put {name} in $x^2$ or \\(y_1\\); it costs $5, not $6."
    assert protected(text) == ["https://a.org/b?c=d&e", "`pip install x`", "{name}", "$x^2$", "\\(y_1\\)"]
    assert protected("An `inline note that is language`, a {set of words} and 3 {") == []


@pytest.mark.parametrize("mark", ["```a\n", "$$\n", "\\[\n", "\\begin{align}\n", "> ", "$", "`", "```\n````\n", "{{ "])
def test_many_unclosed_delimiters_are_processed_fast(mark):
    start = time.process_time()
    split_text(mark * 5000, "lines")
    assert time.process_time() - start < 10
