"""Splitting a text into units for a translator, and joining the translated units again.

Models that return a single line (X-ALMA) get lines; models that were trained on sentences (NLLB) get sentences. Some
content is copied verbatim (see :mod:`polypref.requests.verbatim`): blank lines, fenced code, display formulas, lines
with only digits, symbols, URLs or inline code, and the white space and list markers around each unit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise

import sentencex

from polypref.files.conversations import heading, is_conversation, to_messages
from polypref.requests.verbatim import LIST_MARKS, has_language, segments

LONGEST_SENTENCE = 400
"""Maximum length in characters; a longer sentence is split at punctuation, or else at spaces."""

_MARK = re.compile(rf"^({LIST_MARKS})(.*?)(\s*)$", re.DOTALL)
_CLAUSE = re.compile(r"(?<=[;:,.!?])\s+")


@dataclass(frozen=True)
class Piece:
    """A unit to translate, with the verbatim text before and after it; ``text`` may be empty."""

    before: str
    text: str
    after: str = ""


def split_text(text: str, unit: str) -> list[Piece]:
    """Split a text into pieces; joining the untranslated pieces restores the text exactly.

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


def split_prompt(text: str, unit: str) -> list[Piece]:
    """Split a text that may be a conversation (see :mod:`polypref.files.conversations`) like :func:`split_text`.

    Each message is split on its own; the first of its pieces has its heading before it.
    """
    if not is_conversation(text):
        return split_text(text, unit)
    pieces = []
    for message in to_messages(text):
        first, *rest = split_text(message["content"], unit)
        pieces += [replace(first, before=heading(message["role"]) + first.before), *rest]
    return pieces


def join_pieces(pieces: list[tuple[str, str, str]]) -> str:
    """Join pieces of (before, translation, after) into a text."""
    return "".join(before + text + after for before, text, after in pieces)


def _sentences(line: str) -> list[str]:
    """Split a line into sentences, including the spaces between them, and split sentences that are too long."""
    found = [part for part in sentencex.segment("en", line) if part]
    if "".join(found) != line:  # the splitter dropped or changed spaces: cut the line at the start of each sentence
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
    """Split a sentence that is too long at punctuation, or else at spaces, but never inside a word."""
    if len(sentence) <= LONGEST_SENTENCE:
        return [sentence]
    middle = len(sentence) // 2
    for pattern in (_CLAUSE, re.compile(r"\s+")):
        cuts = [match.end() for match in pattern.finditer(sentence) if 0 < match.end() < len(sentence)]
        if cuts:
            cut = min(cuts, key=lambda position: abs(position - middle))
            return [*_shorten(sentence[:cut]), *_shorten(sentence[cut:])]
    return [sentence]
