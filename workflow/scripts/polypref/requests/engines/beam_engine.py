"""Beam search with transformers models: many searches run at the same time and share one key-value cache.

A step is one forward pass over all beams of all searches. A finished search is removed at once, and the next prompt
takes its place in the cache, so no search waits for the longest one. The longest prompts come first, so that running
out of memory happens early or not at all. A search with a long output is suspended (:data:`BOUNDS`) and later resumed
together with other long ones, so that a few long outputs do not take the memory of many short ones.
"""

from __future__ import annotations

import gc
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from polypref.requests.engines import Completion, EngineError, Request, line_of
from polypref.requests.engines.beam import BeamSearch
from polypref.requests.engines.decoders import Context, is_out_of_memory

AHEAD = 4096
"""Number of requests that are read and sorted by length at a time."""
BOUNDS = (128, 512, 2**31)
"""Numbers of output tokens at which a search is suspended until all shorter ones are finished."""
ROWS = 256
"""Maximum number of beams in a forward pass, unless ``runtime.max_num_seqs`` is set."""
PREFILL = 8192
"""Maximum number of tokens, including padding, in a forward pass over prompts."""
STARTS = 4
"""Maximum number of attempts if memory runs out; each retry halves the number of beams."""


@dataclass(eq=False)
class _Search:
    """A request with the tokens of its prompt and the state of its search."""

    request: Request
    prompt: list[int]
    state: BeamSearch

    @property
    def length(self) -> int:
        """Number of tokens of each beam, including the prompt."""
        return len(self.prompt) + self.state.steps


class BeamSearchEngine:
    """A loaded decoder (see :class:`polypref.requests.engines.Engine`).

    Parameters
    ----------
    model : transformers.PreTrainedModel
    tokenizer : transformers.PreTrainedTokenizerBase
    chat_template : str or None
    context : the context of the engine and of the model
    room : capacity of the key-value cache in tokens
    rows : maximum number of beams at a time
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        chat_template: str | None,
        context: Context,
        room: int,
        rows: int,
    ):
        self.model, self.tokenizer, self.chat_template = model, tokenizer, chat_template
        self.context = context
        self.room, self.rows = room, rows
        ends = model.generation_config.eos_token_id
        ends = tokenizer.eos_token_id if ends is None else ends
        self.ends = frozenset(ends if isinstance(ends, list) else [ends]) - {None}

    def render(self, messages: list[dict[str, str]], thinking: bool = True) -> list[int]:
        """Convert chat messages to token ids, in the same way as vLLM; ``thinking`` is an option of some templates."""
        options = {} if thinking else {"enable_thinking": False}
        rendered = self.tokenizer.apply_chat_template(
            messages, chat_template=self.chat_template, add_generation_prompt=True, tokenize=False, **options
        )
        return self.tokenizer(rendered, add_special_tokens=False)["input_ids"]

    def complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield one completion per request as soon as it is available.

        ``stop`` strings only truncate the best beam. As in vLLM's engine, a prompt that exceeds the context is an
        error, and an output that exceeds it has finish_reason ``length``.

        Raises
        ------
        EngineError
            The device failed. Completions that were already yielded are valid; the other requests can be retried.
        """
        source = iter(requests)
        while chunk := list(itertools.islice(source, AHEAD)):
            waiting: dict[int, list[_Search]] = {}
            for request in chunk:
                try:
                    search = self._start(request)
                except Exception as error:  # templates raise errors of many kinds, lone surrogates a TypeError
                    yield self.context.failed(request.request_id, error)
                    continue
                waiting.setdefault(search.state.width, []).append(search)
            for searches in waiting.values():
                for bound in BOUNDS:
                    searches.sort(key=lambda search: search.length)
                    aside: list[_Search] = []
                    yield from self._search(searches, bound, aside)
                    searches = aside

    def close(self) -> None:
        """Free the device."""
        self.model = None
        gc.collect()

    def _start(self, request: Request) -> _Search:
        prompt = self.render(request.messages, request.decoding.get("reasoning") != "off")
        limit = self.context.max_tokens(len(prompt), request.decoding["max_tokens"])
        return _Search(request, prompt, BeamSearch(request.decoding["beam_size"], limit, self.ends))

    def _search(self, waiting: list[_Search], bound: int, aside: list[_Search]) -> Iterator[Completion]:
        """Run searches that are sorted by length, longest first; move those that reach ``bound`` to ``aside``."""
        import torch

        for attempt in range(1, STARTS + 1):
            running: list[_Search] = []
            try:
                with torch.inference_mode():
                    yield from self._run(waiting, running, bound, aside)
                return
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if attempt == STARTS or not is_out_of_memory(error):
                    raise EngineError(
                        f"beam search stopped: {line_of(error)}. Finished completions are kept; run again to "
                        "continue, with a lower runtime.memory_fraction (on a CPU: kv_cache_gb) or runtime."
                        "max_num_seqs if it ran out of memory."
                    ) from error
                waiting += sorted(running, key=lambda search: search.length)
                self.room, self.rows = self.room // 2, max(1, self.rows // 2)
                print(f"beam search ran out of memory; continuing with half as many beams, {self.rows}", flush=True)
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _run(
        self, waiting: list[_Search], running: list[_Search], bound: int, aside: list[_Search]
    ) -> Iterator[Completion]:
        from polypref.requests.engines.beam_cache import BeamCache

        if not waiting:
            return
        width = waiting[0].state.width
        columns = max(len(s.prompt) + min(s.state.max_tokens, bound) for s in waiting)
        at_once = max(1, min(self.rows // width, self.room // (columns * width), len(waiting)))
        cache = BeamCache(at_once * width)
        while waiting or running:
            # Wait until a quarter of the places is free, so that several prompts are computed at a time.
            if waiting and at_once - len(running) >= max(1, at_once // 4):
                fresh = [waiting.pop() for _ in range(min(len(waiting), at_once - len(running)))]
                while fresh:
                    part = _that_fit(fresh)
                    try:
                        decided = self._admit(part, running, cache)
                    except BaseException:
                        waiting += [*fresh, *part]
                        raise
                    yield from map(self._completion, decided)
            if running:
                for search in self._step(running, cache):
                    yield self._completion(search)
                for index in range(len(running) - 1, -1, -1):
                    if running[index].state.steps >= bound:
                        aside.append(_remove(running, cache, index))

    def _admit(self, part: list[_Search], running: list[_Search], cache: Any) -> list[_Search]:
        """Compute the prompts of some searches and add them to the cache; return the searches that are finished."""
        import torch
        from transformers import DynamicCache

        rows = [search.prompt + tokens for search in part for tokens, _ in search.state.beams]
        longest = max(map(len, rows))
        ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
        filled = DynamicCache()
        logits = self._forward(ids, mask, (mask.cumsum(-1) - 1).clamp(min=0), filled)
        decided, first = [], 0
        for search in part:
            beams, length = len(search.state.beams), search.length
            (extensions,) = _likeliest(logits[first : first + beams], [search])
            if search.state.advance(extensions):
                decided.append(search)
            else:
                cache.add(filled, [first + origin for origin in search.state.origins], length)
                running.append(search)
            first += beams
        return decided

    def _step(self, running: list[_Search], cache: Any) -> list[_Search]:
        """Generate one token for every beam; remove finished searches from ``running``, and return them."""
        import torch

        cache.begin_step()
        tokens = [[beam[-1]] for search in running for beam, _ in search.state.beams]
        positions = [[length] for length in cache.lengths]
        logits = self._forward(torch.tensor(tokens), cache.mask(self.model.device), torch.tensor(positions), cache)
        cache.end_step()
        order, decided = [], []
        for index, (search, extensions) in enumerate(zip(running, _likeliest(logits, running), strict=True)):
            first = index * search.state.width
            if search.state.advance(extensions):
                decided.append(index)
                order += range(first, first + search.state.width)
            else:
                order += [first + origin for origin in search.state.origins]
        cache.reorder(order, max(search.state.steps for search in running))
        return [_remove(running, cache, index) for index in reversed(decided)]

    def _forward(self, ids: Any, mask: Any, positions: Any, cache: Any) -> Any:
        """Return the natural-log probabilities of the next token, [row, token]."""
        device = self.model.device
        output = self.model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            position_ids=positions.to(device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1].float().log_softmax(-1)

    def _completion(self, search: _Search) -> Completion:
        tokens, reason = search.state.best()
        request, text = search.request, self.tokenizer.decode(tokens, skip_special_tokens=True)
        generated = len(tokens) + (reason == "stop")
        figures = {"prompt_tokens": len(search.prompt), "completion_tokens": generated}
        cuts = [at for stop in request.decoding.get("stop") or [] if (at := text.find(stop)) >= 0]
        if cuts:
            text, reason = text[: min(cuts)], "stop"
        completion = Completion(request.request_id, text=text, finish_reason=reason, **figures)
        return self.context.checked(completion, request.decoding["max_tokens"])


def _that_fit(fresh: list[_Search]) -> list[_Search]:
    """Remove and return the first (longest) searches whose prompts fit into one forward pass."""
    longest, rows, part = fresh[0].length, 0, []
    while fresh and (not part or (rows + len(fresh[0].state.beams)) * longest <= PREFILL):
        rows += len(fresh[0].state.beams)
        part.append(fresh.pop(0))
    return part


def _remove(running: list[_Search], cache: Any, index: int) -> _Search:
    """Remove a search; the last search takes its place in the list and in the cache."""
    search, last = running[index], running.pop()
    if last is not search:
        running[index] = last
    cache.drop(index * search.state.width, search.state.width)
    return search


def _likeliest(logprobs: Any, searches: list[_Search]) -> list[list[tuple[float, int, int]]]:
    """Return the most likely extensions of each search's beams, as arguments for :meth:`.BeamSearch.advance`."""
    import torch

    vocabulary = logprobs.shape[-1]
    scores = torch.tensor([score for search in searches for _, score in search.state.beams], device=logprobs.device)
    sums = (logprobs + scores[:, None]).view(len(searches), -1)
    found, places = sums.topk(min(searches[0].state.candidates, sums.shape[1]), dim=-1)
    return [
        [(score, place // vocabulary, place % vocabulary) for score, place in zip(*pair, strict=True)]
        for pair in zip(found.tolist(), places.tolist(), strict=True)
    ]
