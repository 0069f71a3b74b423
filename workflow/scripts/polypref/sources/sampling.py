"""The seeded sample of the base set: stable under growth, even over the sources.

The draw knows a pair by its keys, some hundred bytes. Texts are read again for the pairs whose tokens are to be counted
and for those that were drawn, so that some thousand of them are in memory, however large the sources are.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol

from polypref.files.digests import digest
from polypref.files.tables import ROW_GROUP, batched
from polypref.sources.templates import UNTRAINABLE, Rendered, fault_of, is_trainable, render_pair
from polypref.sources.tokens import TokenizerError, token_counter

Row = dict[str, Any]


class Measured(NamedTuple):
    """Tokens of the longer conversation of a pair, and why the pair can't be trained on, if so."""

    tokens: int
    fault: str = ""


Measure = Callable[[list[Row]], list[Measured]]
"""Measures pairs (``item_id``, ``prompt``, ``chosen``, ``rejected``) as the trainee's chat template renders them."""
COUNTED_AT_ONCE = 200
"""Pairs whose tokens are in memory at a time."""
UNKNOWN = -1


class Read(Protocol):
    """Reads a source's rows in PAIRS from the start: all columns or some, all pairs or those with some ids."""

    def __call__(self, columns: Sequence[str] | None = None, items: Container[str] | None = None) -> Iterable[Row]: ...


def sample_pairs(
    sources: dict[str, Read], items: int, seed: int, max_tokens: int, measure: Measure
) -> tuple[Iterator[Row], Iterator[Row]]:
    """Draw pairs evenly over the sources.

    Every source is put in an order that depends on the seed and each pair's prompt alone; then the sources take turns,
    each giving its next pair whose prompt was not drawn yet and that can be trained on, until ``items`` are drawn or
    nothing is left. So a larger sample contains every smaller one, a source that is too small is made up for by the
    others, and a row whose answers are edited, or that comes or goes, moves no other one.

    Parameters
    ----------
    sources : {name: how to read its rows in PAIRS}; each is read several times
    items : pairs wanted
    max_tokens : longest prompt plus longer response
    measure : tokens and faults of pairs as they are rendered

    Returns
    -------
    Rows in PAIRS in the order of ``item_id``, and rows in DROPPED for the rest: each pair is in one of them.
    """
    known = [_Source(name, sources[name], seed, max_tokens) for name in sorted(sources)]
    # A pair that was not measured yet is taken for a good one; when none of those drawn is such, the draw stands.
    _draw(known, items)
    while any([source.measure(measure) for source in known]):
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
        self.faults: dict[int, str] = {}
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
            elif number not in self.faults:
                prompts[key] = item = self.ids[number]
                self.drawn[item] = number
                yield item

    def measure(self, measure: Measure) -> bool:
        """Measure those of the drawn pairs that were not measured yet; whether there were any."""
        new = {item: number for item, number in self.drawn.items() if self.tokens[number] == UNKNOWN}
        if new:
            rows = self.read(["item_id", "prompt", "chosen", "rejected"], new)
            for some in batched(rows, COUNTED_AT_ONCE):
                for row, found in zip(some, measure(some), strict=True):
                    number = new[row["item_id"]]
                    self.tokens[number] = found.tokens
                    if found.fault:
                        self.faults[number] = found.fault
        return bool(new)

    def rest(self) -> Iterator[Row]:
        """Rows in DROPPED for what was not drawn, in the source's order."""
        for number in sorted(range(len(self.ids)), key=self.rows.__getitem__):
            pair = {"source": self.name, "row": self.rows[number], "item_id": self.ids[number]}
            if number in self.same:
                yield left_out(pair, "deduplicate", f"the same prompt as {self.same[number]}")
            elif number in self.overlong:
                yield left_out(pair, "length", f"{self.tokens[number]} tokens, more than {self.max_tokens}")
            elif number in self.faults:
                yield left_out(pair, "render", self.faults[number])
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


def pair_measure(tokenizer: Any) -> Measure:
    """Measure pairs with a Hugging Face tokenizer and its chat template.

    Raises
    ------
    TokenizerError
        When the template can't be trained with; it names the item.
    """
    count_texts = token_counter(tokenizer)

    def measure(pairs: list[Row]) -> list[Measured]:
        rendered = [_render(tokenizer, pair) for pair in pairs]
        found = iter(count_texts([text for pair in rendered for text in (pair.chosen, pair.rejected)]))
        return [Measured(max(next(found), next(found)), fault_of(pair, tokenizer.eos_token)) for pair in rendered]

    return measure


def _render(tokenizer: Any, pair: Row) -> Rendered:
    turn = {"role": "user", "content": pair["prompt"]}
    sides = ([turn, {"role": "assistant", "content": pair[name]}] for name in ("chosen", "rejected"))
    rendered = render_pair(tokenizer, *sides)
    if not is_trainable(rendered):
        raise TokenizerError(f"item {pair['item_id']} in English: {UNTRAINABLE}.")
    return rendered
