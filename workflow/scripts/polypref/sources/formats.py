"""Normalise the English base set: five public preference sets and the user's own data.

Each normaliser reads rows with the columns that the data set was published with. For every row it yields a pair or the
reason why the row is dropped, so that every row is accounted for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from polypref.config.sections import CONVERSATIONAL
from polypref.files.conversations import Turn
from polypref.files.digests import pair_id
from polypref.files.first_rows import FirstRows
from polypref.files.tables import TableError
from polypref.files.visible import visible
from polypref.sources.cleaning import clean, clean_prompt, is_broken, require_text
from polypref.sources.dropping import DroppedRow, dropped_row
from polypref.sources.layouts import TURN, exchange, is_conversation, marked_turns

Row = dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """A preference pair of a data set; ``row`` is its position in the data set, counted from 1.

    ``prompt`` is a text, or a tuple of turns.
    """

    row: int
    task: str
    prompt: str | tuple[Turn, ...]
    chosen: str
    rejected: str


SEVERAL = "more than one exchange"
"""Why a conversation is dropped from a source with ``turns: single``."""
SCORES = ("helpfulness", "correctness", "coherence")
"""HelpSteer2's scores, 0 to 4 each, whose sum decides which response is chosen."""
OPENER = "Let's think step by step."
"""First line of Math-Step's ``initial_reason_steps``."""
SAME_START = 40
"""If a Math-Step answer and the steps share this many first characters, the answer already contains the steps."""

COLUMNS: dict[str, tuple[str, ...]] = {
    "chatbot_arena": ("winner", "conversation_a", "conversation_b", "language"),
    "helpsteer2": ("prompt", "response", *SCORES),
    "tasksource": ("task", "prompt", "chosen", "rejected"),
    "gutenberg": ("prompt", "chosen", "rejected"),
    "math_step": ("prompt", "initial_reason_steps", "full_chosen", "full_rejected"),
    "preference": ("chosen", "rejected"),
}
"""Columns that each format must have."""
OPTIONAL = {"preference": ("prompt", "task")}
"""Further columns that a format reads if they are there."""


def chatbot_arena(rows: Iterable[Row], several: bool = False) -> Iterator[Pair | DroppedRow]:
    """lmsys/chatbot_arena_conversations: the winner of a vote is chosen; ties are dropped.

    With ``several``, a conversation of several turns is kept if both sides are the same up to the last answer, since
    a preference pair has one prompt; otherwise, all of them are dropped.
    """
    for n, row in enumerate(rows, 1):
        winner, a, b = row["winner"], row["conversation_a"], row["conversation_b"]
        if row["language"] != "English":
            yield DroppedRow(n, "not English")
        elif winner not in ("model_a", "model_b"):
            yield DroppedRow(n, f"the vote is {winner}")
        elif not (is_conversation(a) and is_conversation(b)):
            yield DroppedRow(n, "a conversation is not a list of {role, content}", bad=True)
        elif not (_is_chat(a, several) and _is_chat(b, several)):
            yield DroppedRow(n, "a conversation is not a series of questions and answers" if several else SEVERAL)
        elif [turn["content"] for turn in a[:1]] != [turn["content"] for turn in b[:1]]:
            yield DroppedRow(n, "the two prompts differ", bad=True)
        elif _turns(a[:-1]) != _turns(b[:-1]):
            yield DroppedRow(n, "the two conversations differ before the last answer")
        else:
            chosen, rejected = (a, b) if winner == "model_a" else (b, a)
            yield Pair(n, "chat", _turns(a[:-1]), chosen[-1]["content"], rejected[-1]["content"])


def _is_chat(conversation: list[Row], several: bool) -> bool:
    """Whether a conversation is a turn of the user and an answer, or with ``several``, one or more of these."""
    exchanges = max(len(conversation) // 2, 1) if several else 1
    return [turn["role"] for turn in conversation] == ["user", "assistant"] * exchanges


def _turns(messages: list[Row]) -> tuple[Turn, ...]:
    return tuple((turn["role"], turn["content"]) for turn in messages)


def helpsteer2(rows: Iterable[Row], several: bool = False) -> Iterator[Pair | DroppedRow]:
    """nvidia/HelpSteer2: two rows per prompt, paired by helpfulness + correctness + coherence (each 0 to 4).

    Some prompts contain a whole chat, with turns marked by `TURN`. They are dropped unless ``several`` is true.
    """
    waiting: tuple[int, Row] | None = None
    for n, row in enumerate(rows, 1):
        if TURN in str(row["prompt"]) and not several:
            yield DroppedRow(n, SEVERAL)
            continue
        if _score(row) is None:
            yield DroppedRow(n, f"{', '.join(SCORES)} are not all numbers", bad=True)
            continue
        if waiting is None or waiting[1]["prompt"] != row["prompt"]:
            if waiting is not None:
                yield DroppedRow(waiting[0], "no second response to the prompt")
            waiting = (n, row)
            continue
        first, other = waiting
        waiting = None
        gap = _score(other) - _score(row)
        if gap == 0:
            yield DroppedRow(first, "both responses have the same score")
            yield DroppedRow(n, "both responses have the same score")
            continue
        chosen, rejected = (other, row) if gap > 0 else (row, other)
        try:
            prompt = marked_turns(row["prompt"]) if TURN in str(row["prompt"]) else row["prompt"]
        except ValueError as error:
            yield DroppedRow(first, str(error), bad=True)
        else:
            yield Pair(first, "instruction", prompt, chosen["response"], rejected["response"])
        yield DroppedRow(n, "second response of a pair")
    if waiting is not None:
        yield DroppedRow(waiting[0], "no second response to the prompt")


def _score(row: Row) -> int | None:
    """Sum the scores, which are text in a CSV file; return None if one is not a number."""
    try:
        return sum(int(row[name]) for name in SCORES)
    except (TypeError, ValueError):
        return None


def tasksource(rows: Iterable[Row]) -> Iterator[Pair | DroppedRow]:
    """tasksource/tasksource_dpo_pairs: the pairs unchanged, with the name of their task."""
    for n, row in enumerate(rows, 1):
        yield Pair(n, str(row["task"]), row["prompt"], row["chosen"], row["rejected"])


def gutenberg(rows: Iterable[Row]) -> Iterator[Pair | DroppedRow]:
    """jondurbin/gutenberg-dpo-v0.1: a passage of a novel is chosen over a passage that a model wrote."""
    for n, row in enumerate(rows, 1):
        yield Pair(n, "novel", row["prompt"], row["chosen"], row["rejected"])


def math_step(rows: Iterable[Row]) -> Iterator[Pair | DroppedRow]:
    """xinlai/Math-Step-DPO-10K: the whole answers, not the single steps in ``chosen`` and ``rejected``.

    In the authors' pipeline (``generate_dataset.py`` of dvlab-research/Step-DPO), ``initial_reason_steps`` end with,
    for example, "Step 3:", and the models' text continues from there. A whole answer is therefore the concatenation.
    """
    for n, row in enumerate(rows, 1):
        steps = clean(row["initial_reason_steps"])
        chosen, rejected = (_whole_answer(steps, clean(row[name])) for name in ("full_chosen", "full_rejected"))
        yield Pair(n, "math", row["prompt"], chosen, rejected)


def _whole_answer(steps: str, rest: str) -> str:
    """Join the shared steps and the rest of an answer; return only the rest if it is empty or begins with the steps."""
    first = " ".join(steps.removeprefix(OPENER).split())[:SAME_START]
    if not rest or " ".join(rest.removeprefix(OPENER).split()).startswith(first):
        return rest
    return f"{steps} {rest}"


def preference(rows: Iterable[Row], several: bool = True) -> Iterator[Pair | DroppedRow]:
    """TRL's preference formats: texts or messages, with or without a column ``prompt`` (see :mod:`.layouts`).

    Prompts with a system message or several turns are dropped unless ``several`` is true.
    """
    for n, row in enumerate(rows, 1):
        try:
            prompt, chosen, rejected = exchange(row)
        except ValueError as error:
            yield DroppedRow(n, str(error), bad=True)
        else:
            if len(prompt) > 1 and not several:
                yield DroppedRow(n, SEVERAL)
            else:
                yield Pair(n, str(row.get("task") or "preference"), prompt, chosen, rejected)


NORMALISERS = {
    "chatbot_arena": chatbot_arena,
    "helpsteer2": helpsteer2,
    "tasksource": tasksource,
    "gutenberg": gutenberg,
    "math_step": math_step,
    "preference": preference,
}


def check_columns(name: str, kind: str, columns: Mapping[str, str] | None) -> None:
    """Check that all columns that a source renames exist in its format.

    Raises
    ------
    TableError
        A column is unknown; the message names the format's columns.
    """
    known = (*COLUMNS[kind], *OPTIONAL.get(kind, ()))
    for column in columns or ():
        if column not in known:
            raise TableError(
                f"sources.{name}.columns: {column} is not a column of {kind}; allowed: {', '.join(known)}."
            )


def normalise(
    name: str,
    kind: str,
    rows: Iterable[Row],
    path: str,
    bad_rows: str,
    drop: Callable[[Row], None],
    turns: str | None = None,
    place: Callable[[int], str] | None = None,
) -> Iterator[Row]:
    """Normalise and clean a data set row by row.

    Parameters
    ----------
    name : source's name in the configuration
    kind : one of NORMALISERS
    rows : rows of the data set
    path : path to name in messages
    bad_rows : "error" stops at the first unusable row; "drop" drops such rows
    drop : called with each dropped row, in schema DROPPED
    turns : "any" or "single": whether conversations are kept; by default as in `CONVERSATIONAL`
    place : function that returns the file and row to name in messages; by default the path and the row's number

    Yields
    ------
    Rows in PAIRS. In the end, every row of the data set is either among them or was dropped.

    Raises
    ------
    TableError
        A row is unusable and ``bad_rows`` is "error", or no row is usable. The message names the remedy.
    """
    known, kept, reasons = FirstRows(), 0, set()
    several = {"several": (turns or CONVERSATIONAL[kind]) == "any"} if kind in CONVERSATIONAL else {}
    for found in NORMALISERS[kind](rows, **several):
        step = "normalise"
        if isinstance(found, Pair):
            found, step = cleaned(found), "clean"
        if isinstance(found, DroppedRow):
            if found.bad and bad_rows == "error":
                where = place(found.row) if place else f"{path}, row {found.row}"
                raise TableError(
                    f"{where}: {found.reason}. Fix or remove the row, or set "
                    f"sources.{name}.bad_rows: drop to drop and count such rows."
                )
            left = dropped_row({"source": name, "row": found.row, "item_id": None}, step, found.reason)
            if not kept and len(reasons) < 3:
                reasons.add(left["reason"])
            drop(left)
            continue
        item_id = pair_id(name, found.prompt, found.chosen, found.rejected)
        if (first := known.add(item_id, found.row)) is not None:
            twin = {"source": name, "row": found.row, "item_id": item_id}
            drop(dropped_row(twin, "deduplicate", f"the same pair as row {first}"))
            continue
        kept += 1
        texts = {"prompt": found.prompt, "chosen": found.chosen, "rejected": found.rejected}
        yield {"item_id": item_id, "source": name, "row": found.row, "task": found.task, **texts}
    if not kept:
        why = "; ".join(sorted(reasons))
        raise TableError(f"{path}: no row is usable as {kind} ({why}). Check sources.{name}.format.")


def cleaned(pair: Pair) -> Pair | DroppedRow:
    """Clean the texts of a pair, and convert its prompt to text."""
    for field in ("prompt", "chosen", "rejected"):
        if not isinstance(value := getattr(pair, field), str | tuple | None):
            return DroppedRow(pair.row, f"{field} is not a text but a value of type {type(value).__name__}", bad=True)
    turns = pair.prompt if isinstance(pair.prompt, tuple) else (("user", pair.prompt),)
    try:
        prompt = clean_prompt(turns)
        chosen, rejected = (require_text(name, clean(getattr(pair, name))) for name in ("chosen", "rejected"))
    except ValueError as error:
        return DroppedRow(pair.row, str(error), bad=True)
    if visible(chosen) == visible(rejected):
        return DroppedRow(pair.row, "chosen equals rejected")
    if is_broken(pair.task):
        return DroppedRow(pair.row, "task contains an incomplete character (a lone surrogate)", bad=True)
    return Pair(pair.row, pair.task, prompt, chosen, rejected)
