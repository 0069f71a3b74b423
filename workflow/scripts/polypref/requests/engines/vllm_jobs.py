"""Conversion of requests to vLLM's sampling parameters, and of vLLM's outputs to completions."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from polypref.requests.engines import Completion, Request

MAX_LOGPROBS = 256
"""Maximum number of log-probabilities per token, which the engine needs for the first tokens of choices."""


class Job:
    """A request that the engine is processing, with sampling, greedy decoding or a choice."""

    def __init__(self, request: Request, prompt: Any, max_tokens: int):
        self.request, self.prompt, self.max_tokens = request, prompt, max_tokens

    def parameters(self) -> Any:
        """Return vLLM's sampling parameters for the request."""
        from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

        decoding = self.request.decoding
        choices = decoding.get("choices")
        temperature = decoding.get("temperature", 0.0)
        # Without its own seed, a sampled request gets one from its id, so the seed does not depend on the batch.
        seed = decoding.get("seed", int(hashlib.sha256(self.request.request_id.encode()).hexdigest()[:8], 16))
        return SamplingParams(
            max_tokens=self.max_tokens,
            temperature=temperature,
            top_p=decoding.get("top_p", 1.0) if temperature else 1.0,
            seed=seed if temperature else None,
            stop=decoding.get("stop"),
            structured_outputs=StructuredOutputsParams(choice=choices) if choices else None,
            # Request every token that begins a choice; some vocabularies have both a letter and a byte token.
            logprobs=min(2 * len(_prefixes(choices)), MAX_LOGPROBS) if choices else None,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def completion(self, output: Any) -> Completion:
        """Convert the engine's final output to a completion."""
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


def choice_logprobs(choices: list[str], first: dict[int, Any]) -> dict[str, float] | None:
    """Compute the natural-log probability of each choice from the first token of the output.

    The grammar allows only tokens that begin a choice ("A", "B", and "T", "TI", "TIE"). vLLM normalises over these
    tokens, so the choices' probabilities sum to one. A choice's probability is the sum over the tokens that begin it.

    Parameters
    ----------
    choices : list of str
    first : {token id: vllm.logprobs.Logprob}
        The most likely tokens at the first position.

    Returns
    -------
    dict or None
        {choice: log-probability}, or None if a token begins two choices, since it does not distinguish them.
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
    # Keep underflowed values finite, because JSON has no infinity.
    return {choice: math.log(max(mass, 1e-45)) for choice, mass in total.items()}


def _prefixes(choices: list[str]) -> set[str]:
    return {choice[:end] for choice in choices for end in range(1, len(choice) + 1)}


def _interrupted(request: Request, prompt_tokens: int, reason: str | None) -> Completion:
    return Completion(
        request.request_id, prompt_tokens=prompt_tokens, error=f"vLLM ended the request: {reason}", permanent=False
    )
