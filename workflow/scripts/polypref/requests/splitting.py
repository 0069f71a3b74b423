"""Splitting a text into the units that a translator takes, and putting the translations together again.

Models that answer one line (X-ALMA) get lines, models that were trained on sentences (NLLB) get sentences. What is
not language stays verbatim (see :mod:`polypref.requests.verbatim`): blank lines, fenced code, display formulas, lines
of nothing but digits, signs, URLs or inline code, and the white space and list marks around each piece.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import sentencex

from polypref.requests.verbatim import LIST_MARKS, has_language, segments

LONGEST_SENTENCE = 400
"""Characters above which a sentence is split again at clause marks, then at blanks."""

_MARK = re.compile(rf"^({LIST_MARKS})(.*?)(\s*)$", re.DOTALL)
_CLAUSE = re.compile(r"(?<=[;:,.!?])\s+")


@dataclass(frozen=True)
class Piece:
    """A unit to translate, with the text that stands verbatim before and after it. ``text`` may be empty."""

    before: str
    text: str
    after: str = ""


def split_text(text: str, unit: str) -> list[Piece]:
    """Split a text into pieces; joined again untranslated they give the text, character by character.

    Parameters
    ----------
    text : str
    unit : {"none", "lines", "sentences"}
    """
    if unit == "none":
        return [Piece("", text)] if text.strip() else [Piece(text, "")]
    pieces: list[Piece] = []
    verbatim = ""
    for line, translate in segments(text):
        lead, body, tail = _MARK.match(line).groups() if translate else (line, "", "")  # type: ignore[union-attr]
        if not has_language(body):
            verbatim += line
            continue
        units = [body] if unit == "lines" else _sentences(body)
        verbatim += lead
        for part in units:
            core = part.strip()
            start = part.index(core)
            pieces.append(Piece(verbatim + part[:start], core))
            verbatim = part[start + len(core) :]
        verbatim += tail
    if not pieces:
        return [Piece(verbatim, "")]
    pieces[-1] = Piece(pieces[-1].before, pieces[-1].text, verbatim)
    return pieces


def join_pieces(pieces: list[tuple[str, str, str]]) -> str:
    """Put (before, translation, after) together again."""
    return "".join(before + text + after for before, text, after in pieces)


def _sentences(line: str) -> list[str]:
    """Sentences of a line with the blanks between them, none longer than a translator takes."""
    found = [part for part in sentencex.segment("en", line) if part]
    if "".join(found) != line:  # the splitter dropped or changed blanks: cut the line where its sentences start
        found = _cut_at(line, [part.strip() for part in found])
    return [piece for sentence in found for piece in _shorten(sentence) if piece.strip()] or [line]


def _cut_at(line: str, sentences: list[str]) -> list[str]:
    starts, position = [], 0
    for sentence in sentences:
        at = line.find(sentence, position) if sentence else -1
        if at < 0:
            continue
        starts.append(at)
        position = at + len(sentence)
    edges = [0, *starts[1:], len(line)]
    return [line[a:b] for a, b in pairwise(edges)]


def _shorten(sentence: str) -> list[str]:
    """Split what is too long at clause marks, and where there are none at blanks; a word is never cut."""
    if len(sentence) <= LONGEST_SENTENCE:
        return [sentence]
    middle = len(sentence) // 2
    for pattern in (_CLAUSE, re.compile(r"\s+")):
        cuts = [match.end() for match in pattern.finditer(sentence) if 0 < match.end() < len(sentence)]
        if cuts:
            cut = min(cuts, key=lambda position: abs(position - middle))
            return [*_shorten(sentence[:cut]), *_shorten(sentence[cut:])]
    return [sentence]
