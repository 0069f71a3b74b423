"""Build data sets: for each architecture, one preference pair or dropped row per English pair and language."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from polypref.config.diagnostics import EQUAL
from polypref.datasets.dropping import Dropped, mark_equal, mark_failed, mark_flagged, nothing_dropped
from polypref.files.columns import integers
from polypref.files.conversations import heading, to_messages, to_transcript
from polypref.files.schemas import DATASET, DROPPED, FIELDS, MESSAGES
from polypref.files.tables import TableError
from polypref.requests.collect import PROVENANCE, provenance

ORIGINAL = json.dumps({"model": "source"})
NATIVE = json.dumps({"model": "native"})
"""Provenance of a prompt that was written in the language."""


def build_dataset(
    pairs: pa.Table,
    texts: dict[str, pa.Table | None],
    language: str,
    drop: Sequence[str] = (EQUAL,),
    flags: pa.Table | None = None,
    native: bool = False,
) -> tuple[pa.Table, pa.Table]:
    """Join the fields of an architecture in one language on ``item_id``.

    Parameters
    ----------
    pairs : table in PAIRS
    texts : {field: table in TEXTS, or None for the English original}
    drop : flags for which a pair is dropped; a pair with an error is always dropped
    flags : columns item_id and flags of the pairs that have flags, needed for flags other than
        ``chosen_equals_rejected``
    native : whether the prompts were written in the language

    Returns
    -------
    Tables in DATASET and in DROPPED, in the order of the pairs. Each pair is in one of them.

    Raises
    ------
    TableError
        A table of texts has an id that is in no pair, or lacks an id, or has it twice.
    """
    ids = _whole(pairs["item_id"])
    if pc.count_distinct(ids).as_py() != len(ids):
        raise TableError(f"the base set: item_id occurs more than once: {_repeated(ids)}")
    places = {name: _places(table, ids, f"{name} in {language}") for name, table in texts.items()}
    errors = _errors(ids, texts, places, language)
    columns = {name: _taken(texts[name], "text", places[name], pairs[name]) for name in FIELDS}
    dropped = mark_failed(nothing_dropped(len(ids)), errors)
    if EQUAL in drop:
        dropped = mark_equal(dropped, columns["chosen"], columns["rejected"])
    if flags is not None:
        dropped = mark_flagged(dropped, ids, drop, flags)
    joined = _joined(pairs, texts, places, columns, language, native)
    if dropped.reason.null_count < len(joined):
        joined = joined.filter(pc.is_null(dropped.reason))
    return joined, _dropped(pairs, language, dropped)


def _places(table: pa.Table | None, ids: pa.Array, what: str) -> pa.Array | None:
    """Return for each pair the row of a table of texts, null if there is none."""
    if table is None:
        return None
    found = _whole(table["item_id"])
    places = pc.index_in(ids, value_set=found)
    if len(found) - places.null_count or places.null_count:
        if pc.count_distinct(found).as_py() != len(found):
            raise TableError(f"{what}: item_id occurs more than once: {_repeated(found)}")
        if len(ids) - places.null_count != len(found):
            extra = pc.min(found.filter(pc.invert(pc.is_in(found, value_set=ids)))).as_py()
            raise TableError(f"{what}: item_id {extra} is in no pair of the base set. Delete the file and run again.")
    return places


def _errors(
    ids: pa.Array, texts: dict[str, pa.Table | None], places: dict[str, pa.Array | None], language: str
) -> pa.Array:
    """Return for each pair the error of its first field that has one, else null."""
    reason = pa.nulls(len(ids), pa.string())
    for name in FIELDS:
        table, place = texts[name], places[name]
        if table is None:
            continue
        # without a prompt no request was sent, and the pair has the prompt's error
        absent = pc.and_(pc.is_null(place), pc.is_null(reason))
        if pc.any(absent).as_py():
            raise TableError(
                f"{name} in {language}: there is no row for item_id {ids.filter(absent)[0]}. Delete the file and run "
                "again."
            )
        error = _whole(table["error"]).take(place)
        failed = pc.and_(pc.is_null(reason), pc.fill_null(pc.not_equal(error, ""), False))
        reason = pc.if_else(failed, pc.binary_join_element_wise(name, error, ": "), reason)
    return reason


def _joined(
    pairs: pa.Table,
    texts: dict[str, pa.Table | None],
    places: dict[str, pa.Array | None],
    columns: dict[str, pa.Array],
    language: str,
    native: bool,
) -> pa.Table:
    """Return all pairs in DATASET; pairs with an error have nulls."""
    made = {
        **{name: _whole(pairs[name]) for name in ("item_id", "source", "task")},
        "language": _constant(language, len(pairs)),
        **columns,
        **_messages(columns),
        **{f"{name}_provenance": _provenance(texts[name], places[name], len(pairs)) for name in FIELDS},
    }
    if native:
        made["prompt_provenance"] = _constant(NATIVE, len(pairs))
    return pa.table([made[name] for name in DATASET.names], schema=DATASET)


def _dropped(pairs: pa.Table, language: str, dropped: Dropped) -> pa.Table:
    if dropped.reason.null_count == len(pairs):
        return DROPPED.empty_table()
    made = {name: _whole(pairs[name]) for name in ("source", "row", "item_id")}
    made |= {"language": _constant(language, len(pairs)), "step": dropped.step, "reason": dropped.reason}
    return pa.table([made[name] for name in DROPPED.names], schema=DROPPED).filter(pc.is_valid(dropped.reason))


def _taken(table: pa.Table | None, column: str, places: pa.Array | None, original: pa.ChunkedArray) -> pa.Array:
    return _whole(original) if table is None else _whole(table[column]).take(places)


def _provenance(table: pa.Table | None, places: pa.Array | None, count: int) -> pa.Array:
    """Return the provenance of each text; a file has only a few different values."""
    if table is None:
        return _constant(ORIGINAL, count)
    found = [_whole(table[name]).dictionary_encode() for name in PROVENANCE]
    codes, sizes = np.zeros(len(table), np.int64), [len(column.dictionary) + 1 for column in found]
    for column, size in zip(found, sizes, strict=True):
        codes = codes * size + np.array(column.indices.fill_null(size - 1).to_numpy(zero_copy_only=False))
    _, first, number = np.unique(codes, return_index=True, return_inverse=True)
    rows = table.select(list(PROVENANCE)).take(integers(first)).to_pylist()
    made = pa.array([provenance(row) if row["decoding"] else None for row in rows], pa.string())
    return made.take(integers(number.reshape(-1))).take(places)


def _messages(columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """Return the messages of each pair, and the transcripts of prompts that are conversations."""
    if pc.any(pc.starts_with(columns["prompt"], heading("")[0])).as_py():
        return _messages_of_conversations(columns)
    user = _turns("user", columns["prompt"])
    answers = {name: [user, _turns("assistant", columns[name])] for name in FIELDS[1:]}
    made = {"prompt_messages": _conversations([user])}
    return made | {f"{name}_messages": _conversations(turns) for name, turns in answers.items()}


def _messages_of_conversations(columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    texts = {name: [text or "" for text in column.to_pylist()] for name, column in columns.items()}
    asked = [to_messages(text) for text in texts["prompt"]]
    made = {"prompt": pa.array([to_transcript(text) for text in texts["prompt"]], pa.string())}
    made["prompt_messages"] = pa.array(asked, MESSAGES)
    for name in FIELDS[1:]:
        answers = (
            [*turns, {"role": "assistant", "content": text}] for turns, text in zip(asked, texts[name], strict=True)
        )
        made[f"{name}_messages"] = pa.array(answers, MESSAGES)
    return made


def _turns(role: str, contents: pa.Array) -> pa.StructArray:
    return pa.StructArray.from_arrays([_constant(role, len(contents)), contents], fields=list(MESSAGES.value_type))


def _conversations(turns: list[pa.StructArray]) -> pa.ListArray:
    """Combine arrays of turns to conversations, each with one turn of every array."""
    count, length = len(turns[0]), len(turns)
    order = np.arange(count * length).reshape(length, count).T.reshape(-1)
    offsets = pa.array(np.arange(0, count * length + 1, length, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, pa.concat_arrays(turns).take(integers(order)), type=MESSAGES)


def _constant(value: str, count: int) -> pa.Array:
    return pa.repeat(value, count)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], column.type)])


def _repeated(ids: pa.Array) -> str:
    counts = ids.value_counts()
    return ", ".join(sorted(counts.field("values").filter(pc.greater(counts.field("counts"), 1)).to_pylist())[:5])
