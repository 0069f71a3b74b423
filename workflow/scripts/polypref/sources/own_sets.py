"""Convert the user's own test sets: evaluation prompts, and segments with one or several reference translations."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from polypref.config.sections import Language
from polypref.files.digests import digest
from polypref.files.tables import TableError
from polypref.sources.cleaning import clean, clean_prompt, is_broken, readable
from polypref.sources.layouts import prompt_turns

Row = dict[str, Any]
PROMPT_COLUMNS = ("prompt",)
SEGMENT_COLUMNS = ("source", "reference")
_REFERENCES = re.compile(r"reference(_\d+)?")


class Placed(Protocol):
    """Rows that know their file and row: :class:`polypref.sources.reading.Data`."""

    def __iter__(self) -> Iterator[Row]: ...

    def place(self, number: int) -> str:
        """Return the file and row of a row by its number."""


def names_of(code: str, language: Language) -> set[str]:
    """Return the values of a column ``language`` that mean a language: its codes and its names, in lower case."""
    names = {code, code.replace("-", "_"), language.name, language.endonym, f"{language.iso639_3}_{language.script}"}
    if "-" not in code:
        names |= {language.iso639_3} | ({language.wmt24pp} if language.wmt24pp else set())
    return {name.casefold() for name in names}


def _rows_in(rows: Placed, code: str, language: Language, one_language: bool) -> Iterator[tuple[int, Row]]:
    """Iterate over the rows in a language, with their numbers.

    Raises
    ------
    TableError
        There is no column ``language``, or no row is in the language.
    """
    wanted, others, any_row = names_of(code, language), Counter(), False
    for number, row in enumerate(rows, 1):
        if "language" not in row and not one_language:
            raise TableError(
                f"{rows.place(number)}: column language is missing. Add it, or have a file per language, with "
                "{language} in its name."
            )
        spoken = row.get("language")
        if one_language or (isinstance(spoken, str) and spoken.strip().casefold() in wanted):
            any_row = True
            yield number, row
        else:
            others[str(spoken)] += 1
    if not any_row:
        found = ", ".join(readable(name) for name, _ in others.most_common(10))
        raise TableError(f"{rows}: has no rows in {language.name} ({code}); the column language has: {found}.")


def own_prompts(
    rows: Placed, code: str, language: Language, wanted: int, seed: int, kind: str, one_language: bool
) -> list[Row]:
    """Sample the evaluation prompts of one language, in schema PROMPTS.

    Translations of one prompt have the same ``id``, the cluster of the intervals; without ids, each prompt is a
    cluster of its own. The same ids are sampled in every language, and a larger sample contains every smaller one.

    Parameters
    ----------
    rows : rows with ``prompt`` (a text or a list of messages), ``language`` (unless ``one_language``), and optionally
        ``id`` and ``reference``.
    wanted : number of prompts.
    kind : name of the format, for the column ``config``.
    one_language : all rows are in this language.

    Raises
    ------
    TableError
        A prompt is unusable or occurs twice, or there are fewer prompts than requested.
    """
    prompts: dict[str, Row] = {}
    first: dict[str, int] = {}
    for number, row in _rows_in(rows, code, language, one_language):
        prompt = _prompt(rows, number, row)
        own_id = row.get("id")
        prompt_id = digest(code, prompt) if own_id is None or own_id == "" else readable(str(own_id))
        if prompt_id in prompts:
            what = "the prompt" if own_id is None or own_id == "" else f"id {prompt_id}"
            before = rows.place(first[prompt_id])
            raise TableError(f"{rows.place(number)}: {what} occurs twice for {language.name} (first in {before}).")
        first[prompt_id] = number
        prompts[prompt_id] = {
            "item_id": digest("prompt", prompt_id, code),
            "prompt_id": prompt_id,
            "language": code,
            "config": kind,
            "prompt": prompt,
            "reference": readable(clean(row.get("reference"))),
        }
    if len(prompts) < wanted:
        raise TableError(
            f"{rows}: has {len(prompts)} prompts in {language.name} ({code}), evaluation.prompts_per_language asks for "
            f"{wanted}."
        )
    sampled = sorted(prompts, key=lambda prompt_id: digest(seed, prompt_id))[:wanted]
    return [prompts[prompt_id] for prompt_id in sorted(sampled)]


def own_segments(
    rows: Placed, code: str, language: Language, subset: int | None, seed: int, one_language: bool
) -> list[Row]:
    """Convert the segments of one language to schema SEGMENTS with a list of all ``references``.

    A segment without ``document_id`` is a document of its own. The segments of a document are numbered in their order.

    Raises
    ------
    TableError
        A source or a reference is empty.
    """
    segments: list[Row] = []
    numbers: Counter[str] = Counter()
    for number, row in _rows_in(rows, code, language, one_language):
        source = _text(rows, number, row, "source")
        references = list(dict.fromkeys(_references(rows, number, row)))
        own = row.get("document_id")
        document = digest(source) if own is None or own == "" else readable(str(own))
        numbers[document] += 1
        segments.append({
            "item_id": f"{document}:{numbers[document]}",
            "language": code,
            "domain": readable(str(row.get("domain") or "")),
            "document_id": document,
            "segment_id": numbers[document],
            "source": source,
            "reference": references[0],
            "references": references,
        })  # fmt: skip
    kept = sorted(segments, key=lambda row: digest(seed, row["item_id"]))[:subset]
    return sorted(kept, key=lambda row: (row["document_id"], row["segment_id"]))


def _references(rows: Placed, number: int, row: Row) -> Iterable[str]:
    """Iterate over the references of a segment; empty ones after the first column are left out."""
    for name in sorted(name for name in row if isinstance(name, str) and _REFERENCES.fullmatch(name)):
        value = row[name]
        texts = value if isinstance(value, list) else [value]
        if name == "reference" and not texts:
            raise TableError(f"{rows.place(number)}: reference is empty.")
        for text in texts:
            if name == "reference" or text not in (None, ""):
                yield _text(rows, number, {name: text}, name)


def _prompt(rows: Placed, number: int, row: Row) -> str:
    """Return the text of a prompt, which may be a conversation (see :mod:`polypref.files.conversations`)."""
    if not isinstance(row["prompt"], list | dict):
        return _text(rows, number, row, "prompt")
    try:
        return clean_prompt(prompt_turns(row["prompt"]))
    except ValueError as error:
        raise TableError(f"{rows.place(number)}: {error}. Fix or remove the row.") from None


def _text(rows: Placed, number: int, row: Row, name: str) -> str:
    value = row[name]
    if value is not None and not isinstance(value, str):
        raise TableError(f"{rows.place(number)}: {name} is not a text but a value of type {type(value).__name__}.")
    text = clean(value)
    if not text:
        raise TableError(f"{rows.place(number)}: {name} is empty.")
    if is_broken(text):
        raise TableError(f"{rows.place(number)}: {name} contains an incomplete character (a lone surrogate).")
    return text
