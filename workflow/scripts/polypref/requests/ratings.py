"""Building a rater's requests, which show a text and its translation, and parsing the ratings in its replies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from polypref.files.conversations import to_transcript
from polypref.files.tables import TableError
from polypref.requests.asking import RequestSettings
from polypref.requests.collect import PROVENANCE, completions_for
from polypref.requests.prompts import rating_messages
from polypref.requests.rating_parsers import PARSERS
from polypref.requests.reasoning import after_reasoning

Row = dict[str, Any]


def read_template(path: str | Path) -> str:
    """Read a rater's prompt; it ends with the word before the rating, without white space or a line break."""
    return Path(path).read_text(encoding="utf-8").rstrip()


def ask_ratings(
    pairs: Iterable[Row],
    translations: Iterable[Row],
    field: str,
    settings: RequestSettings,
    template: str,
    language: str,
    language_name: str,
    where: str = "the translations",
) -> Iterator[Row]:
    """Build a request to rate the translation of a field of each pair.

    Parameters
    ----------
    pairs : rows with ``item_id`` and the English `field`
    translations : rows with ``item_id``, ``text`` and ``error``, in the same order
    where : the file of the translations, for error messages

    Yields
    ------
    Rows in REQUESTS; ``request_id`` is null if the translation failed. Equal texts with equal translations have equal
    ids, so they are rated once.

    Raises
    ------
    TableError
        Pairs and translations do not have the same ids.
    """
    missing = {"item_id": None}
    translated = iter(translations)
    for pair in pairs:
        found = next(translated, missing)
        if found["item_id"] != pair["item_id"]:
            raise TableError(
                f"{where}: found item_id {found['item_id']} in the place of {pair['item_id']}. Delete the file and run "
                "the same command again."
            )
        messages = None
        if not found["error"]:
            texts = to_transcript(pair[field]), to_transcript(found["text"])
            messages = rating_messages(template, language_name, *texts)
        yield from settings.rows({"item_id": pair["item_id"], "language": language}, [("", messages, "")])


def parse_rating(reply: str, parser: str, cut: bool = False) -> float | None:
    """Return the rating in a reply, or None if it has none; ``parser`` is a name of :data:`.PARSERS`.

    The parser reads what follows the reasoning in tags that a rater may write first. If the reply was ``cut`` off after
    a digit, its last number may be incomplete, and it counts as a reply without a rating.
    """
    answer = after_reasoning(reply)
    if cut and answer[-1:].isdigit():
        return None
    return PARSERS[parser](answer)


def collect_ratings(requests: list[Row], completions: dict[str, Row], what: str, parser: str) -> list[Row]:
    """Return one row per translation in schema RATINGS."""
    rows = []
    for request, completion in completions_for(requests, completions, what):
        error = completion["error"] if completion else "the translation is missing"
        reply = completion["text"] if completion and not error else ""
        rating = None
        if completion and not error:
            rating = parse_rating(reply, parser, completion["finish_reason"] == "length")
        rows.append(
            {
                "item_id": request["item_id"],
                "language": request["language"],
                "reply": reply,
                "rating": rating,
                "status": "error" if error else "unparsed" if rating is None else "parsed",
                "prompt_tokens": completion["prompt_tokens"] if completion else 0,
                "completion_tokens": completion["completion_tokens"] if completion else 0,
                "error": error,
                **{name: request[name] for name in PROVENANCE},
            }
        )
    return rows
