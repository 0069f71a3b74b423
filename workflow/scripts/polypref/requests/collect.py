"""Building an artifact: join the requests of one file with the completions of their batch by ``request_id``."""

from __future__ import annotations

import bisect
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import pyarrow as pa

from polypref.files.conversations import has_heading, without_heading, without_marks
from polypref.files.schemas import COMPLETIONS
from polypref.files.table_writer import ROW_GROUP
from polypref.files.tables import TableError, iter_row_groups, iter_rows, read_table, row_group_sizes
from polypref.files.visible import visible
from polypref.requests.completions import iter_section, section_of
from polypref.requests.splitting import join_pieces

Row = dict[str, Any]

NOT_ASKED = "the text has nothing to translate (only code, formulas, URLs or the like) and would stay in English"
"""Error of a text that was not sent to its translator."""
PROVENANCE = ("model", "checkpoint", "revision", "decoding")


def read_answered(requests: str, schema: pa.Schema, completions: str) -> Iterator[tuple[list[Row], dict[str, Row]]]:
    """Iterate over the requests of a file and their completions, about one row group at a time.

    Yields
    ------
    Rows in ``schema`` without their messages, with all parts of an item in the same list, and their completions as
    ``{request_id: row in COMPLETIONS}``. ``completions`` is the file of the whole batch, of which only the section of
    this file is read. A file of an older version, or with other requests, is searched for the requests' ids.
    """
    batches = _whole_items(iter_rows(requests, schema, [name for name in schema.names if name != "messages"]))
    section = section_of(completions, requests)
    if section and _is_section_of(completions, section, requests, schema):
        tables = iter_section(completions, section)
        rows = itertools.chain.from_iterable(table.to_pylist() for table in tables)
        for batch in batches:
            own = sum(row["request_id"] is not None for row in batch)
            yield batch, {row["request_id"]: row for row in itertools.islice(rows, own)}
        return
    wanted = {row["request_id"] for row in iter_rows(requests, schema, ["request_id"])}
    ids = (row["request_id"] for row in iter_rows(completions, COMPLETIONS, ["request_id"]))
    position = {key: number for number, key in enumerate(ids) if key in wanted}
    starts = [0, *itertools.accumulate(row_group_sizes(completions))]
    for batch in batches:
        found = {}
        numbers = sorted({position[row["request_id"]] for row in batch if row["request_id"] in position})
        for group, members in itertools.groupby(numbers, key=lambda number: bisect.bisect_right(starts, number) - 1):
            table = read_table(completions, COMPLETIONS, row_groups=[group])
            for first, last in _runs(members):
                run = table.slice(first - starts[group], last - first + 1).to_pylist()
                found |= {row["request_id"]: row for row in run}
        yield batch, found


def _is_section_of(completions: str, section: tuple[int, int], requests: str, schema: pa.Schema) -> bool:
    """Whether a section has the ids of a file's requests, in their order."""
    asked = (table["request_id"].drop_null() for table in iter_row_groups(requests, schema, ["request_id"]))
    answered = (table["request_id"] for table in iter_section(completions, section, ["request_id"]))
    digests = []
    for columns in (asked, answered):
        ids = hashlib.sha256()
        for column in columns:
            ids.update("\n".join([*column.to_pylist(), ""]).encode())
        digests.append(ids.digest())
    return digests[0] == digests[1]


def _whole_items(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Group consecutive rows into lists of at least ROW_GROUP rows, without splitting an item."""
    taken: list[Row] = []
    for row in rows:
        if len(taken) >= ROW_GROUP and row["item_id"] != taken[-1]["item_id"]:
            yield taken
            taken = []
        taken.append(row)
    if taken:
        yield taken


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last number of each run of consecutive numbers."""
    first = last = None
    for number in numbers:
        if last is not None and number != last + 1:
            yield first, last
            first = None
        first = number if first is None else first
        last = number
    if last is not None:
        yield first, last


def completions_for(
    requests: Iterable[dict[str, Any]], completions: dict[str, dict[str, Any]], what: str
) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Pair each request with its completion, or with None if the part was not sent to the model.

    Raises
    ------
    TableError
        A request has no completion, because the batch was built from other requests.
    """
    pairs, missing = [], 0
    for request in requests:
        key = request["request_id"]
        completion = completions.get(key) if key else None
        missing += bool(key) and completion is None
        pairs.append((request, completion))
    if missing:
        raise TableError(
            f"{what}: {missing} requests have no completion. Delete the file of completions and run again."
        )
    return pairs


def collect_texts(
    requests: list[dict[str, Any]], completions: dict[str, dict[str, Any]], what: str, may_be_empty: bool = False
) -> list[dict[str, Any]]:
    """Join the parts of each item, and return one row per item in schema TEXTS.

    If one part failed, the whole item is an error: the row has an empty text and the reason. A text with letters of
    which no part was sent to the model is an error too, because it is still the English original. An empty text is an
    error except with ``may_be_empty``, which is used for the answers that are judged: there it is just a bad answer.
    In a conversation, this holds for each message, and an error in one message is an error of the whole.
    """
    rows = []
    pairs = completions_for(requests, completions, what)
    for item_id, group in groupby(pairs, key=lambda pair: pair[0]["item_id"]):
        parts = list(group)
        answered = [completion for _, completion in parts if completion is not None]
        found = [_join_message(message, may_be_empty) for message in _by_message(parts)]
        error = next((c["error"] for c in answered if c["error"]), None) or next((e for _, e in found if e), None)
        text = "".join(text for text, _ in found)
        first = parts[0][0]
        cut = any(c["finish_reason"] == "length" for c in answered)
        rows.append(
            {
                "item_id": item_id,
                "language": first["language"],
                "text": "" if error else text,
                "finish_reason": "error" if error else "length" if cut else "stop",
                "prompt_tokens": sum(c["prompt_tokens"] for c in answered),
                "completion_tokens": sum(c["completion_tokens"] for c in answered),
                "error": error,
                **{name: first[name] for name in PROVENANCE},
            }
        )
    return rows


Part = tuple[Row, Row | None]
"""A request and its completion."""


def _by_message(parts: list[Part]) -> Iterator[list[Part]]:
    """Divide the parts of an item into those of each message; a text that is no conversation is one message."""
    starts = [number for number, (request, _) in enumerate(parts) if number == 0 or has_heading(request["before"])]
    for start, end in itertools.pairwise([*starts, len(parts)]):
        yield parts[start:end]


def _join_message(parts: list[Part], may_be_empty: bool) -> tuple[str, str | None]:
    """Join the parts of a message; return its text with its heading, and the error if it is empty or was not sent."""
    answers = [without_marks(c["text"]) for _, c in parts if c is not None]
    text = join_pieces([(r["before"], without_marks(c["text"]) if c else "", r["after"]) for r, c in parts])
    if answers:
        empty = not may_be_empty and not any(visible(answer) for answer in answers)
        return text, "the answer is empty" if empty else None
    return text, NOT_ASKED if any(char.isalpha() for char in without_heading(text)) else None


def provenance(row: dict[str, Any]) -> str:
    """Return the origin of a row in TEXTS as JSON: model, checkpoint, revision and decoding."""
    return json.dumps(
        {**{name: row[name] for name in PROVENANCE[:3]}, "decoding": json.loads(row["decoding"])}, ensure_ascii=False
    )
