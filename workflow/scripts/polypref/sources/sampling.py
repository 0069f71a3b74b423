"""Sample the base set with a seed, evenly over the sources; a larger sample contains every smaller one.

Sampling keeps only the keys of each pair in memory, some hundred bytes. Texts are read again for the pairs whose tokens
are counted and for those that are sampled, so only some thousand texts are in memory, however large the sources are.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol

from polypref.files.conversations import is_conversation, to_messages, without_system
from polypref.files.digests import digest
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
COUNTED_AT_ONCE = 200
"""Number of pairs that are tokenised at once."""
UNKNOWN = -1


class Read(Protocol):
    """Reads a source's rows in PAIRS from the start, optionally only some columns or the pairs with certain ids."""

    def __call__(self, columns: Sequence[str] | None = None, items: Container[str] | None = None) -> Iterable[Row]: ...


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
    known = [_Source(name, sources[name], seed, max_tokens, matcher) for name in sorted(sources)]
    _find_contaminated(known, matcher)
    # Pairs that were not measured yet are assumed to be usable; sampling repeats until all sampled pairs are measured.
    _sample(known, items)
    while any([source.measure(measure) for source in known]):
        _sample(known, items)
    return _read_sample(known), chain.from_iterable(source.rest() for source in known)


class _Source:
    """Keys of a source's pairs by their position in its file, and whether and why each pair is dropped."""

    def __init__(self, name: str, read: Read, seed: int, max_tokens: int, matcher: Matcher) -> None:
        self.name, self.read, self.max_tokens = name, read, max_tokens
        self.ids: list[str] = []
        self.rows, self.prompts, turns = array("q"), array("Q"), array("Q")
        self.contaminated: dict[int, str] = {}
        self.suspects: list[tuple[int, list[str]]] = []
        for row in read(["item_id", "row", "prompt"]):
            if matcher.references and (words := matcher.candidate(without_system(to_messages(row["prompt"])))):
                self.suspects.append((len(self.ids), words))
            self.ids.append(row["item_id"])
            self.rows.append(row["row"])
            key, prompt = prompt_key(row["prompt"]), row["prompt"]
            self.prompts.append(int(key if prompt.isascii() else prompt_key(visible(prompt)), 16))
            turns.append(int(digest(seed, key), 16))
        self.order = array("q", sorted(range(len(turns)), key=turns.__getitem__))
        self.tokens = array("q", [UNKNOWN]) * len(turns)
        self.faults: dict[int, str] = {}
        self.forget()

    def forget(self) -> None:
        """Discard the sample and the reasons for skipped pairs."""
        self.sampled: dict[str, int] = {}
        self.same: dict[int, str] = {}
        self.overlong: set[int] = set()

    def candidates(self, prompts: dict[int, str]) -> Iterator[str]:
        """Iterate over the ids of usable pairs in sampling order; ``prompts`` maps sampled prompts to ids."""
        for number in self.order:
            key = self.prompts[number]
            if number in self.contaminated:
                continue
            if key in prompts:
                self.same[number] = prompts[key]
            elif self.tokens[number] > self.max_tokens:
                self.overlong.add(number)
            elif number not in self.faults:
                prompts[key] = item = self.ids[number]
                self.sampled[item] = number
                yield item

    def measure(self, measure: Measure) -> bool:
        """Measure the sampled pairs that were not measured yet; return whether there were any."""
        new = {item: number for item, number in self.sampled.items() if self.tokens[number] == UNKNOWN}
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
        """Iterate over rows in DROPPED for the pairs that were not sampled, in the source's order."""
        for number in sorted(range(len(self.ids)), key=self.rows.__getitem__):
            pair = {"source": self.name, "row": self.rows[number], "item_id": self.ids[number]}
            if number in self.contaminated:
                yield dropped_row(pair, "contamination", self.contaminated[number])
            elif number in self.same:
                yield dropped_row(pair, "deduplicate", f"the same prompt as {self.same[number]}")
            elif number in self.overlong:
                yield dropped_row(pair, "length", f"{self.tokens[number]} tokens, more than {self.max_tokens}")
            elif number in self.faults:
                yield dropped_row(pair, "render", self.faults[number])
            elif pair["item_id"] not in self.sampled:
                yield dropped_row(pair, "sample", "not sampled")


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
    prompts: dict[int, str] = {}
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
    rows = (row for source in sources if source.sampled for row in source.read(items=source.sampled))
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
