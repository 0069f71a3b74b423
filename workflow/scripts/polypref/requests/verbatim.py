"""Detecting the markup in a text that is not translated: fenced code, display formulas and LaTeX environments.

Text is treated as markup only if that is certain. A delimiter that is never closed is text, and so is a formula that
contains a sentence, because markup that was translated by mistake is easier to notice than English left untranslated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

LIST_MARKS = r"\s*(?:(?:[-*+•>]|#{1,6}|\(?\d{1,3}[.)]|\\item(?:\[[^\]\n]*\])?)\s+)*"
"""Markers of lists, quotations and headings at the start of a line, and the spaces around them."""
SENTENCE_WORDS = 4
"""Number of consecutive words from which the content of a formula or inline code is treated as a sentence."""

_MATH = (
    "equation|align|alignat|aligned|alignedat|gather|gathered|multline|flalign|eqnarray|math|displaymath|split|cases|"
    "array|subequations|smallmatrix|[pbBvV]?matrix"
)
_CODE = "verbatim|Verbatim|lstlisting|minted|tikzpicture"
_OPENER = re.compile(rf"({LIST_MARKS})(?:(\$\$)|(\\\[)|\\begin\{{((?:{_MATH}|{_CODE})\*?)\}})")
_COMMANDS = re.compile(
    r"(?:\s*\\(?:begin|end|documentclass|usepackage|maketitle|hline|newpage|item)\b\*?(?:\[[^\]\n]*\]|\{[^{}\n]*\})*)+\s*"
)
_LINE = re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]*(?:\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])?")
"""A line with its line break, as in ``str.splitlines(keepends=True)``."""
_FENCE = re.compile(r"([`~])\1{2,}")
_CLOSING = re.compile(r"[\s>]*(`{3,}|~{3,})[ \t]*")
_TEXT_IN_MATH = re.compile(r"\\(?:text\w*|mbox|mathrm|operatorname)\s*\{[^{}]*\}")
_WORD = r"[^\W\d_]{2,}"
_WORDS = re.compile(rf"(?:(?<![\\\w]){_WORD}(?:['’][^\W\d_]+)?[,;:]?\s+){{{SENTENCE_WORDS - 1}}}{_WORD}")
_PROTECTED = re.compile(
    r"""
    (?P<url>(?:https?|ftp)://[^\s<>"'`)\]}]*[^\s<>"'`)\]}.,;:!?]|www\.[\w-]+\.[^\s<>"'`)\]}]*[^\s<>"'`)\]}.,;:!?])
    | (?P<ticks>(?<!`)(`+)(?!`)(?P<code>.+?)(?<!`)\3(?!`))
    | (?P<formula>(?<![\\$\w])\$(?:\$(?P<display>[^$\n]+)\$|(?P<inline>[^\s$](?:[^$\n]*[^\s$\\])?))\$(?![\d$]))
    | (?P<parentheses>\\\((?P<inner>.+?)\\\)|\\\[(?P<brackets>.+?)\\\])
    | (?P<placeholder>\{\{\s*\w+(?:\.\w+)*\s*\}\}|\$\{\w+\}|(?<![\\\w}])\{\w+\}|%\(\w+\)[sd])
    """,
    re.VERBOSE,
)
"""URLs, inline code, formulas and placeholders within a line."""
_SIGN = re.compile(r"[`$\\{%]|://|www\.")
"""A part of each of them; this search is several times as fast."""


def is_math(text: str, needs_sign: bool = True) -> bool:
    """Return whether a formula is mathematics: it has no sentence and, with ``needs_sign``, a symbol or no word."""
    if has_sentence(_TEXT_IN_MATH.sub(r"\\text", text)):
        return False
    return not needs_sign or bool(re.search(r"[=^_\\+<>/*|\d−×÷≤≥≠∑∫√]", text)) or not re.search(r"[^\W\d_]{2}", text)


def has_sentence(text: str) -> bool:
    """Return whether a text has at least `SENTENCE_WORDS` consecutive words."""
    return bool(_WORDS.search(text))


def protected(text: str) -> list[str]:
    """Return the URLs, inline code, formulas and placeholders of a text, which a translation must not change."""
    if not _SIGN.search(text):
        return []
    return [match[0] for match in _PROTECTED.finditer(text) if _is_markup(match)]


def has_language(text: str) -> bool:
    """Return whether a line has letters outside `protected` text and does not consist only of LaTeX commands."""
    if _COMMANDS.fullmatch(text):
        return False
    rest = _PROTECTED.sub(lambda match: "" if _is_markup(match) else match[0], text)
    return any(char.isalpha() for char in rest)


def _is_markup(match: re.Match[str]) -> bool:
    if match["code"]:
        return not has_sentence(match["code"])
    formula = match["display"] or match["inline"] or match["inner"] or match["brackets"]
    return is_math(formula) if formula else True


def segments(text: str) -> Iterator[tuple[str, bool]]:
    """Split a text into (segment, whether it is language); joining the segments restores the text."""
    run = ""
    for lines, fenced in _fences(text):
        if fenced:
            yield from _formulas(run)
            yield lines, False
            run = ""
        else:
            run += lines
    yield from _formulas(run)


def _formulas(text: str) -> Iterator[tuple[str, bool]]:
    """Split a text into display formulas and environments at the start of a line, and the lines around them."""
    position = 0
    while position < len(text):
        end = _formula_end(text, position)
        if end:
            yield text[position:end], False
        else:
            end = _LINE.match(text, position).end()  # type: ignore[union-attr]
            yield text[position:end], True
        position = end


def _formula_end(text: str, position: int) -> int:
    """Return the end of the formula that starts at a position, or 0 if there is none or it is not closed."""
    opener = _OPENER.match(text, position)
    if not opener:
        return 0
    _, dollars, bracket, name = opener.groups()
    closing = "$$" if dollars else r"\]" if bracket else rf"\end{{{name}}}"
    end = text.find(closing, opener.end())
    if end < 0:
        return 0
    content = text[opener.end() : end]
    if name and re.fullmatch(rf"(?:{_CODE})\*?", name):
        return end + len(closing)
    if not name and re.search(r"\n[^\S\n]*\n", content):  # TeX allows no empty line in a formula
        return 0
    return end + len(closing) if is_math(content, needs_sign=not name) else 0


def _fences(text: str) -> Iterator[tuple[str, bool]]:
    """Split a text into (lines, whether fenced code); the lines of a fenced block stay together."""
    lines = re.findall(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+", text)
    blocks = _fenced_blocks(lines) if _FENCE.search(text) else []
    done = 0
    for start, end in blocks:
        yield from ((line, False) for line in lines[done:start])
        yield "".join(lines[start:end]), True
        done = end
    yield from ((line, False) for line in lines[done:])


def _fenced_blocks(lines: list[str]) -> list[tuple[int, int]]:
    """Return the start and end (exclusive) of each fenced code block by CommonMark's rules, if the block is closed."""
    shown = _without_unclosed(lines)
    while True:
        found = [token for token in _parser().parse("".join(shown)) if token.type == "fence" and token.map]
        loose = [token.map[0] for token in found if not _is_closed(shown[slice(*token.map)], token.markup)]
        if not loose:
            return [(token.map[0], token.map[1]) for token in found]
        for number in loose:
            shown[number] = _FENCE.sub("", shown[number])


def _without_unclosed(lines: list[str]) -> list[str]:
    """Remove opening fences that no later line closes, because they would turn all remaining lines into code."""
    longest = {"`": 0, "~": 0}
    shown = []
    for line in reversed(lines):
        marks = _FENCE.search(line)
        if closing := _CLOSING.fullmatch(line.rstrip("\r\n")):
            longest[closing[1][0]] = max(longest[closing[1][0]], len(closing[1]))
        shown.append(line if not marks or len(marks[0]) <= longest[marks[1]] else _FENCE.sub("", line))
    return shown[::-1]


def _is_closed(block: list[str], markup: str) -> bool:
    closing = _CLOSING.fullmatch(block[-1].rstrip("\r\n"))
    return len(block) > 1 and bool(closing) and closing[1].startswith(markup)


@cache
def _parser() -> MarkdownIt:
    """Return a parser for block structure only; it finds fences at any depth of quotations and lists."""
    from markdown_it import MarkdownIt  # jobs that only collect texts do not need it

    return MarkdownIt("zero").enable(["fence", "blockquote", "list"]).disable("inline")
