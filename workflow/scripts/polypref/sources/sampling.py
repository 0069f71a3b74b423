"""Sample the base set with a seed, evenly over the sources; a larger sample contains every smaller one.

Sampling keeps only the keys of each pair in memory, about 60 bytes. Texts are read again for the pairs whose tokens are
counted and for those that are sampled, so only some thousand texts are in memory, however large the sources are.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple, Protocol

import numpy as np

from polypref.files.conversations import is_conversation, to_messages, without_system
from polypref.files.digests import digest
from polypref.files.first_rows import FirstRows
from polypref.files.schemas import PAIRS
from polypref.files.sorting import sorted_rows
from polypref.files.tables import batched
from polypref.files.visible import visible
from polypref.sources.dropping import dropped_row
from polypref.sources.ngrams import Matcher
from polypref.sources.templates import UNTRAINABLE, Rendered, fault_of, fit_system, is_trainable, render_pair
from polypref.sources.tokens import TokenizerError, token_counter

Row = dict[str, Any]


class Measured(NamedTuple):
    """Tokens of the longer conversation of a pair, and the reason if the pair can't be used for training."""

    tokens: int
    fault: str = ""


Measure = Callable[[list[Row]], list[Measured]]
"""Measures pairs (``item_id``, ``prompt``, ``chosen``, ``rejected``) after rendering with the chat template."""
KEYS_AT_ONCE = 10_000
COUNTED_AT_ONCE = 200
"""Number of pairs that are tokenised at once."""
UNKNOWN = -1


SKIPPED, SAMPLED, SAME, OVERLONG = range(4)
"""Whether a pair is sampled: not reached or unusable, sampled, its prompt is sampled already, too many tokens."""


class Read(Protocol):
    """Reads a source's rows in PAIRS from the start, optionally only some columns or the rows chosen by a mask."""

    def __call__(self, columns: Sequence[str] | None = None, chosen: np.ndarray | None = None) -> Iterable[Row]: ...


def sample_pairs(
    sources: dict[str, Read], items: int, seed: int, max_tokens: int, measure: Measure,
    evaluation: Iterable[tuple[str, str]] = (),
) -> tuple[Iterator[Row], Iterator[Row]]:  # fmt: skip
    """Sample pairs evenly over the sources.

    The pairs of every source are put in an order that depends only on the seed and the prompts. Then the sources take
    turns: each contributes its next pair that is usable for training and whose prompt is not in the sample yet, until
    there are ``items`` pairs or no pairs are left. So a larger sample contains every smaller one, and the other sources
    make up for one that is too small. Editing a row's answers, or adding or removing a row, does not move the others.

    Parameters
    ----------
    sources : {name: function that reads its rows in PAIRS}; it is called several times
    items : number of pairs
    max_tokens : maximum tokens of the prompt plus the longer response
    measure : function that returns the tokens and faults of rendered pairs
    evaluation : (name, text) of the evaluation prompts; pairs whose prompt matches one are dropped

    Returns
    -------
    Rows in PAIRS sorted by ``item_id``, and rows in DROPPED for all other pairs.
    """
    matcher = Matcher(evaluation)
    known: list[_Source] = []
    for name in sorted(sources):
        start = known[-1].start + len(known[-1].ids) if known else 0
        known.append(_Source(name, sources[name], seed, max_tokens, matcher, start))
    _find_contaminated(known, matcher)
    # Pairs that were not measured yet are assumed to be usable; sampling repeats until all sampled pairs are measured.
    _sample(known, items)
    while any([source.measure(measure) for source in known]):
        _sample(known, items)
    return _read_sample(known), chain.from_iterable(source.rest(known) for source in known)


class _Source:
    """Keys of a source's pairs by their position in its file, and whether and why each pair is dropped.

    ``start``: number of pairs in the sources before this one.
    """

    def __init__(self, name: str, read: Read, seed: int, max_tokens: int, matcher: Matcher, start: int) -> None:
        self.name, self.read, self.max_tokens, self.start = name, read, max_tokens, start
        ids, rows, prompts, turns = [np.empty(0, "S1")], array("q"), array("q"), array("Q")
        self.contaminated: dict[int, str] = {}
        self.suspects: list[tuple[int, list[str]]] = []
        for some in batched(read(["item_id", "row", "prompt"]), KEYS_AT_ONCE):
            for row in some:
                if matcher.references and (words := matcher.candidate(without_system(to_messages(row["prompt"])))):
                    self.suspects.append((len(rows), words))
                rows.append(row["row"])
                key, prompt = prompt_key(row["prompt"]), row["prompt"]
                prompts.append(int(key if prompt.isascii() else prompt_key(visible(prompt)), 16) - 2**63)
                turns.append(int(digest(seed, key), 16))
            ids.append(np.array([row["item_id"].encode() for row in some]))
        self.ids, self.rows, self.prompts = np.concatenate(ids), np.array(rows), prompts
        self.order = np.argsort(np.array(turns), kind="stable")
        self.tokens = array("i", [UNKNOWN]) * len(rows)
        self.faults: dict[int, str] = {}
        self.forget()

    def forget(self) -> None:
        """Discard the sample and the reasons for skipped pairs."""
        self.fates = np.full(len(self.ids), SKIPPED, np.int8)
        self.twins = array("q", [UNKNOWN]) * len(self.ids)

    def candidates(self, prompts: FirstRows) -> Iterator[int]:
        """Iterate over usable pairs in sampling order; ``prompts``: the sampled prompts and their pairs."""
        for number in map(int, self.order):
            if number in self.contaminated:
                continue
            key = self.prompts[number]
            if (twin := prompts.find(key)) is not None:
                self.fates[number], self.twins[number] = SAME, twin
            elif self.tokens[number] > self.max_tokens:
                self.fates[number] = OVERLONG
            elif number not in self.faults:
                prompts.add(key, self.start + number)
                self.fates[number] = SAMPLED
                yield number

    def measure(self, measure: Measure) -> bool:
        """Measure the sampled pairs that were not measured yet; return whether there were any."""
        new = (self.fates == SAMPLED) & (np.array(self.tokens) == UNKNOWN)
        if new.any():
            rows = self.read(["item_id", "prompt", "chosen", "rejected"], new)
            numbers = map(int, np.flatnonzero(new))
            for some in batched(rows, COUNTED_AT_ONCE):
                for number, found in zip(islice(numbers, len(some)), measure(some), strict=True):
                    self.tokens[number] = found.tokens
                    if found.fault:
                        self.faults[number] = found.fault
        return bool(new.any())

    def rest(self, sources: Sequence[_Source]) -> Iterator[Row]:
        """Iterate over rows in DROPPED for the pairs that were not sampled, in the source's order."""
        starts = [source.start for source in sources]
        for number in map(int, np.argsort(self.rows, kind="stable")):
            pair = {"source": self.name, "row": int(self.rows[number]), "item_id": self.item(number)}
            if number in self.contaminated:
                yield dropped_row(pair, "contamination", self.contaminated[number])
            elif self.fates[number] == SAME:
                other = sources[bisect_right(starts, self.twins[number]) - 1]
                twin = other.item(self.twins[number] - other.start)
                yield dropped_row(pair, "deduplicate", f"the same prompt as {twin}")
            elif self.fates[number] == OVERLONG:
                yield dropped_row(pair, "length", f"{self.tokens[number]} tokens, more than {self.max_tokens}")
            elif number in self.faults:
                yield dropped_row(pair, "render", self.faults[number])
            elif self.fates[number] == SKIPPED:
                yield dropped_row(pair, "sample", "not sampled")

    def item(self, number: int) -> str:
        """Return the id of a pair."""
        return self.ids[number].decode()


def _find_contaminated(sources: list[_Source], matcher: Matcher) -> None:
    """Mark the pairs of all sources whose prompt matches an evaluation prompt, whether they would be sampled or not."""
    suspects = [((source.name, number), words) for source in sources for number, words in source.suspects]
    by_name = {source.name: source for source in sources}
    for (name, number), prompt, rule in matcher.matches(suspects):
        by_name[name].contaminated[number] = f"evaluation prompt {prompt} ({rule})"
    for source in sources:
        source.suspects.clear()


def _sample(sources: list[_Source], items: int) -> None:
    """Sample from the sources in turn, by the token counts known so far."""
    prompts = FirstRows()
    for source in sources:
        source.forget()
    turns = [source.candidates(prompts) for source in sources]
    count = 0
    while turns and count < items:
        for turn in list(turns):
            if count == items:
                break
            if next(turn, None) is None:
                turns.remove(turn)
            else:
                count += 1


def _read_sample(sources: list[_Source]) -> Iterator[Row]:
    """Iterate over the sampled rows in PAIRS sorted by ``item_id``."""
    chosen = ((source, source.fates == SAMPLED) for source in sources)
    rows = (row for source, mask in chosen if mask.any() for row in source.read(chosen=mask))
    return sorted_rows(rows, PAIRS, "item_id")


def prompt_key(prompt: str) -> str:
    """Digest of a prompt that is equal for prompts that differ only in case or white space."""
    if is_conversation(prompt):
        return digest(*([message["role"], _plain(message["content"])] for message in to_messages(prompt)))
    return digest(_plain(prompt))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def pair_measure(tokenizer: Any) -> Measure:
    """Measure pairs with a Hugging Face tokenizer and its chat template.

    Raises
    ------
    TokenizerError
        The template can't be used for training; the message names the item.
    """
    count_texts = token_counter(tokenizer)

    def measure(pairs: list[Row]) -> list[Measured]:
        rendered = [_render(tokenizer, pair) for pair in pairs]
        fine = [pair for pair in rendered if isinstance(pair, Rendered)]
        found = iter(count_texts([text for pair in fine for text in (pair.chosen, pair.rejected)]))
        return [
            Measured(max(next(found), next(found)), fault_of(pair, tokenizer.eos_token))
            if isinstance(pair, Rendered)
            else Measured(0, pair)
            for pair in rendered
        ]

    return measure


def prompt_measure(tokenizer: Any) -> Measure:
    """Measure prompts without answers (native prompts), like :func:`pair_measure`."""
    count_texts = token_counter(tokenizer)

    def measure(pairs: list[Row]) -> list[Measured]:
        rendered = [_render_prompt(tokenizer, pair) for pair in pairs]
        tokens = count_texts([text for text, _ in rendered])
        return [Measured(number, fault) for number, (_, fault) in zip(tokens, rendered, strict=True)]

    return measure


def _render_prompt(tokenizer: Any, pair: Row) -> tuple[str, str]:
    """Render the prompt of a pair; return the text, and the reason if the template refuses it."""
    asked = fit_system(tokenizer, to_messages(pair["prompt"]))
    try:
        return tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True), ""
    except Exception as error:  # a template may raise any error
        return "", _refused(error)


def _refused(error: Exception) -> str:
    return f"the chat template refuses the conversation: {' '.join(str(error).split())[:200]}"


def _render(tokenizer: Any, pair: Row) -> Rendered | str:
    """Render a pair, or return the reason why its conversation can't be rendered; a single turn must be."""
    asked = to_messages(pair["prompt"])
    sides = ([*asked, {"role": "assistant", "content": pair[name]}] for name in ("chosen", "rejected"))
    try:
        rendered = render_pair(tokenizer, *sides)
    except Exception as error:  # a template may raise any error, for example for two turns of the user in a row
        if len(asked) == 1:
            raise
        return _refused(error)
    if is_trainable(rendered):
        return rendered
    if len(asked) == 1:
        raise TokenizerError(f"item {pair['item_id']} in English: {UNTRAINABLE}.")
    return "the chat template writes a conversation that does not begin with its own prompt"
