"""Requests on their way through vLLM: what each asks of the engine, and the completion it makes of the outputs."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from typing import Any

from polypref.requests.engines import Completion, Request
from polypref.requests.engines.beam import BeamSearch, candidates

MAX_LOGPROBS = 256
"""Most log-probabilities per token that the engine is started for (beam candidates, tokens that begin a choice)."""


class Job(ABC):
    """A request on its way through the engine, in one or more engine requests."""

    request: Request
    weight = 1
    """Its share of what is kept ahead of the scheduler, in requests."""
    ready = False

    @abstractmethod
    def ask(self) -> list[tuple[Any, Any]]:
        """The engine requests to send next, as (prompt, parameters)."""

    @abstractmethod
    def receive(self, index: int, output: Any) -> Completion | None:
        """Take the output of one of them; the completion when the request is done."""


class Single(Job):
    """Sampling, greedy search, or a choice: one engine request."""

    def __init__(self, request: Request, prompt: Any, max_tokens: int):
        self.request, self.prompt, self.max_tokens = request, prompt, max_tokens

    def ask(self) -> list[tuple[Any, Any]]:
        from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

        decoding = self.request.decoding
        choices = decoding.get("choices")
        temperature = decoding.get("temperature", 0.0)
        # Without a seed of its own a sampled request takes one from its identity: never from the batch.
        seed = decoding.get("seed", int(hashlib.sha256(self.request.request_id.encode()).hexdigest()[:8], 16))
        params = SamplingParams(
            max_tokens=self.max_tokens,
            temperature=temperature,
            top_p=decoding.get("top_p", 1.0) if temperature else 1.0,
            seed=seed if temperature else None,
            stop=decoding.get("stop"),
            structured_outputs=StructuredOutputsParams(choice=choices) if choices else None,
            # Every token that begins a choice; some vocabularies have a byte token beside the letter.
            logprobs=min(2 * len(_prefixes(choices)), MAX_LOGPROBS) if choices else None,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        return [(self.prompt, params)]

    def receive(self, index: int, output: Any) -> Completion:
        answer = output.outputs[0]
        prompt_tokens, completion_tokens = len(self.prompt["prompt_token_ids"]), len(answer.token_ids)
        if answer.finish_reason not in ("stop", "length"):
            return _interrupted(self.request, prompt_tokens, answer.finish_reason)
        choices = self.request.decoding.get("choices")
        return Completion(
            self.request.request_id,
            text=answer.text,
            finish_reason=answer.finish_reason,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            logprobs=choice_logprobs(choices, answer.logprobs[0]) if choices and answer.logprobs else None,
        )


class Beams(Job):
    """Beam search: one engine request per beam and token, answered from the prefix cache but for its last block."""

    def __init__(
        self, request: Request, prompt: Any, max_tokens: int, ends: frozenset[int], tokenizer: Any, beam_weight: int
    ):
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        self.request, self.prompt, self.tokenizer = request, prompt, tokenizer
        self.search = BeamSearch(request.decoding["beam_size"], max_tokens, ends)
        self.weight = beam_weight * self.search.width
        needed = candidates(self.search.width, len(ends))
        if needed > MAX_LOGPROBS:
            raise ValueError(f"beam_size {self.search.width} is too large: at most {MAX_LOGPROBS} candidates per step")
        self.params = SamplingParams(
            max_tokens=1,
            temperature=0.0,
            logprobs=needed,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        self.steps: dict[int, dict[int, float]] = {}

    def ask(self) -> list[tuple[Any, Any]]:
        from vllm.inputs import tokens_input

        self.steps, self.ready = {}, False
        prompt = self.prompt["prompt_token_ids"]
        return [(tokens_input([*prompt, *tokens]), self.params) for tokens, _ in self.search.beams]

    def receive(self, index: int, output: Any) -> Completion | None:
        prompt_tokens, answer = len(self.prompt["prompt_token_ids"]), output.outputs[0]
        if not answer.logprobs:
            return _interrupted(self.request, prompt_tokens, answer.finish_reason)
        self.steps[index] = {token: entry.logprob for token, entry in answer.logprobs[0].items()}
        if len(self.steps) < len(self.search.beams):
            return None
        if not self.search.advance([self.steps[i] for i in range(len(self.steps))]):
            self.ready = True
            return None
        tokens, reason = self.search.best()
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        cuts = [at for stop in self.request.decoding.get("stop") or [] if (at := text.find(stop)) >= 0]
        if cuts:
            text, reason = text[: min(cuts)], "stop"
        generated = len(tokens) + (reason == "stop" and not cuts)
        return Completion(
            self.request.request_id,
            text=text,
            finish_reason=reason,
            prompt_tokens=prompt_tokens,
            completion_tokens=generated,
        )


def choice_logprobs(choices: list[str], first: dict[int, Any]) -> dict[str, float] | None:
    """Natural-log probability of each choice by the first token of the answer.

    The grammar leaves only tokens that begin a choice ("A", "B", and "T", "TI", "TIE"), and vLLM's probabilities are
    over those, so they sum to one over the choices. A choice's probability is the sum over the tokens that begin it.

    Parameters
    ----------
    choices : list of str
    first : {token id: vllm.logprobs.Logprob}
        The likeliest tokens at the first position.

    Returns
    -------
    dict or None
        {choice: log-probability}, or None when a token begins two choices: then the first token does not decide.
    """
    total = dict.fromkeys(choices, 0.0)
    for entry in first.values():
        if not math.isfinite(entry.logprob) or not entry.decoded_token:
            continue
        begun = [choice for choice in choices if choice.startswith(entry.decoded_token)]
        if len(begun) > 1:
            return None
        if begun:
            total[begun[0]] += math.exp(entry.logprob)
    # A choice that has underflowed keeps a finite number: JSON has no infinity.
    return {choice: math.log(max(mass, 1e-45)) for choice, mass in total.items()}


def _prefixes(choices: list[str]) -> set[str]:
    return {choice[:end] for choice in choices for end in range(1, len(choice) + 1)}


def _interrupted(request: Request, prompt_tokens: int, reason: str | None) -> Completion:
    return Completion(
        request.request_id, prompt_tokens=prompt_tokens, error=f"vLLM ended the request: {reason}", permanent=False
    )
