"""The seeded sample of the base set: stable under growth, even over the sources.

The draw knows a pair by its keys, some hundred bytes. Texts are read again for the pairs whose tokens are to be counted
and for those that were drawn, so that some thousand of them are in memory, however large the sources are.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Protocol

from polypref.files.digests import digest
from polypref.files.tables import ROW_GROUP, batched
from polypref.sources.tokens import token_counter

Row = dict[str, Any]
CountTokens = Callable[[list[tuple[str, str]]], list[int]]
"""Tokens of each (prompt, response) as the trainee's chat template renders them."""
COUNTED_AT_ONCE = 200
"""Pairs whose tokens are in memory at a time."""
UNKNOWN = -1


class Read(Protocol):
    """Reads a source's rows in PAIRS from the start: all columns or some, all pairs or those with some ids."""

    def __call__(self, columns: Sequence[str] | None = None, items: Container[str] | None = None) -> Iterable[Row]: ...


def sample_pairs(
    sources: dict[str, Read], items: int, seed: int, max_tokens: int, count: CountTokens
) -> tuple[Iterator[Row], Iterator[Row]]:
    """Draw pairs evenly over the sources.

    Every source is put in an order that depends on the seed and each pair's prompt alone; then the sources take turns,
    each giving its next pair whose prompt was not drawn yet and that is short enough, until ``items`` are drawn or
    nothing is left. So a larger sample contains every smaller one, a source that is too small is made up for by the
    others, and a row whose answers are edited, or that comes or goes, moves no other one.

    Parameters
    ----------
    sources : {name: how to read its rows in PAIRS}; each is read several times
    items : pairs wanted
    max_tokens : longest prompt plus longer response
    count : tokens of prompts and responses

    Returns
    -------
    Rows in PAIRS in the order of ``item_id``, and rows in DROPPED for the rest: each pair is in one of them.
    """
    known = [_Source(name, sources[name], seed, max_tokens) for name in sorted(sources)]
    # A pair whose tokens are not known is taken for short enough; when none of the drawn ones is such, the draw stands.
    _draw(known, items)
    while any([source.count_tokens(count) for source in known]):
        _draw(known, items)
    return _read_drawn(known), chain.from_iterable(source.rest() for source in known)


class _Source:
    """Keys of a source's pairs by their number in its file, and what became of each pair."""

    def __init__(self, name: str, read: Read, seed: int, max_tokens: int) -> None:
        self.name, self.read, self.max_tokens = name, read, max_tokens
        self.ids: list[str] = []
        self.rows, self.prompts, turns = array("q"), array("Q"), array("Q")
        for row in read(["item_id", "row", "prompt"]):
            self.ids.append(row["item_id"])
            self.rows.append(row["row"])
            key = prompt_key(row["prompt"])
            self.prompts.append(int(key, 16))
            turns.append(int(digest(seed, key), 16))
        self.order = array("q", sorted(range(len(turns)), key=turns.__getitem__))
        self.tokens = array("q", [UNKNOWN]) * len(turns)
        self.forget()

    def forget(self) -> None:
        """Nothing is drawn or passed over."""
        self.drawn: dict[str, int] = {}
        self.same: dict[int, str] = {}
        self.overlong: set[int] = set()

    def candidates(self, prompts: dict[int, str]) -> Iterator[str]:
        """Ids of pairs in their drawing order; ``prompts`` has the ids of what was drawn from any source."""
        for number in self.order:
            key = self.prompts[number]
            if key in prompts:
                self.same[number] = prompts[key]
            elif self.tokens[number] > self.max_tokens:
                self.overlong.add(number)
            else:
                prompts[key] = item = self.ids[number]
                self.drawn[item] = number
                yield item

    def count_tokens(self, count: CountTokens) -> bool:
        """Count those of the pairs drawn that were not counted yet; whether there were any."""
        new = {item: number for item, number in self.drawn.items() if self.tokens[number] == UNKNOWN}
        if new:
            rows = self.read(["item_id", "prompt", "chosen", "rejected"], new)
            for some in batched(rows, COUNTED_AT_ONCE):
                found = iter(count([(row["prompt"], row[field]) for row in some for field in ("chosen", "rejected")]))
                for row in some:
                    self.tokens[new[row["item_id"]]] = max(next(found), next(found))
        return bool(new)

    def rest(self) -> Iterator[Row]:
        """Rows in DROPPED for what was not drawn, in the source's order."""
        for number in sorted(range(len(self.ids)), key=self.rows.__getitem__):
            pair = {"source": self.name, "row": self.rows[number], "item_id": self.ids[number]}
            if number in self.same:
                yield left_out(pair, "deduplicate", f"the same prompt as {self.same[number]}")
            elif number in self.overlong:
                yield left_out(pair, "length", f"{self.tokens[number]} tokens, more than {self.max_tokens}")
            elif pair["item_id"] not in self.drawn:
                yield left_out(pair, "sample", "not drawn")


def _draw(sources: list[_Source], items: int) -> None:
    """Let the sources take turns by what is known of the pairs' tokens."""
    prompts: dict[int, str] = {}
    for source in sources:
        source.forget()
    turns = [source.candidates(prompts) for source in sources]
    drawn = 0
    while turns and drawn < items:
        for turn in list(turns):
            if drawn == items:
                break
            if next(turn, None) is None:
                turns.remove(turn)
            else:
                drawn += 1


def _read_drawn(sources: list[_Source]) -> Iterator[Row]:
    """Rows in PAIRS in the order of ``item_id``, a row group's number in memory."""
    ids = sorted(item for source in sources for item in source.drawn)
    for some in batched(ids, ROW_GROUP):
        wanted = set(some)
        rows = (row for source in sources if not wanted.isdisjoint(source.drawn) for row in source.read(items=wanted))
        yield from sorted(rows, key=lambda row: row["item_id"])


def prompt_key(prompt: str) -> str:
    """What two prompts that count as the same have in common: words without case and white space."""
    return digest(" ".join(prompt.casefold().split()))


def left_out(row: Row, step: str, reason: str, language: str = "en") -> Row:
    """A pair as a row in DROPPED."""
    kept = {name: row[name] for name in ("source", "row", "item_id")}
    return {**kept, "language": language, "step": step, "reason": reason}


def pair_counter(tokenizer: Any) -> CountTokens:
    """Count tokens with a Hugging Face tokenizer and its chat template."""
    count_texts = token_counter(tokenizer)

    def count(pairs: list[tuple[str, str]]) -> list[int]:
        chats = [
            [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
            for prompt, response in pairs
        ]
        return count_texts(tokenizer.apply_chat_template(chats, tokenize=False))

    return count
