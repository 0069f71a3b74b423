"""Prompts that were written in a language: normalise a set of them, and sample as many as the base set has pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from polypref.config.native_prompts import NativePrompts
from polypref.files.digests import digest
from polypref.files.first_rows import FirstRows
from polypref.files.tables import TableError
from polypref.sources.cleaning import clean_prompt
from polypref.sources.dropping import DroppedRow, dropped_row
from polypref.sources.layouts import prompt_turns
from polypref.sources.sampling import Read, prompt_measure, sample_pairs

Row = dict[str, Any]


def normalise_native(
    name: str, native: NativePrompts, rows: Iterable[Row], language: str, codes: set[str], drop: Callable[[Row], None]
) -> Iterator[Row]:
    """Normalise the prompts of one language.

    Parameters
    ----------
    name : name of the set in the configuration
    native : its section
    rows : rows of the data set; those in other languages are ignored
    language : ISO 639-1 code
    codes : the language's codes in the column ``native.language``
    drop : called with each dropped row, in schema DROPPED

    Yields
    ------
    Rows in PAIRS, with empty answers.

    Raises
    ------
    TableError
        A row is unusable and ``bad_rows`` is "error", or there is no prompt in the language.
    """
    known, kept = FirstRows(), 0
    for number, row in enumerate(rows, 1):
        if native.language and str(row[native.language]) not in codes:
            continue
        found = _prompt(number, row[native.prompt])
        if isinstance(found, DroppedRow):
            if native.bad_rows == "error":
                raise TableError(
                    f"{native.path}, row {number}: {found.reason}. Fix or remove the row, or set "
                    f"native.{name}.bad_rows: drop to drop and count such rows."
                )
            pair = {"source": name, "row": number, "item_id": None}
            drop(dropped_row(pair, "clean", found.reason, language))
            continue
        item_id = digest("native", name, language, found)
        pair = {"item_id": item_id, "source": name, "row": number, "task": "native", "prompt": found}
        if (first := known.add(item_id, number)) is not None:
            drop(dropped_row(pair, "deduplicate", f"the same prompt as row {first}", language))
            continue
        kept += 1
        yield {**pair, "chosen": "", "rejected": ""}
    if not kept:
        where = f" with {' or '.join(sorted(codes))} in the column {native.language}" if native.language else ""
        raise TableError(
            f"{native.path}: no row is a prompt in {language}{where}. Check native.{name}, or remove the language."
        )


def _prompt(number: int, value: Any) -> str | DroppedRow:
    try:
        return clean_prompt(prompt_turns(value))
    except ValueError as error:
        return DroppedRow(number, str(error), bad=True)


def sample_native(
    name: str, read: Read, items: int, seed: int, max_tokens: int, tokenizer: Any,
    evaluation: Iterable[tuple[str, str]] = (),
) -> tuple[Iterator[Row], Iterator[Row]]:  # fmt: skip
    """Sample prompts like pairs of the base set (see :func:`polypref.sources.sampling.sample_pairs`)."""
    return sample_pairs({name: read}, items, seed, max_tokens, prompt_measure(tokenizer), evaluation)
