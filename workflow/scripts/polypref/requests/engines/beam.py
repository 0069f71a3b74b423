"""Beam search over next-token log-probabilities, by the rules of Hugging Face transformers' ``generate``.

vLLM's own ``LLM.beam_search`` is not used. It runs every search to ``max_tokens`` even when all beams have ended (2,048
steps for a sentence of 30 tokens), holds all prompts in lock step, divides scores by prompt plus answer length, and
knows one end token only. Here each search is a small state machine that asks for the next tokens of its beams; the
engine mixes its requests with all others and drops the search when it is decided. Same prompt, same weights, same
best beam as ``model.generate(num_beams=width, early_stopping=False, length_penalty=1.0)``.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field


@dataclass
class BeamSearch:
    """The state of one search.

    Parameters
    ----------
    width : int
        Number of beams, at least 2.
    max_tokens : int
        Longest answer, end token included.
    ends : frozenset of int
        Token ids that end an answer.

    Attributes
    ----------
    beams : list of (list of int, float)
        Answer tokens so far and the sum of their natural-log probabilities, best first.
    """

    width: int
    max_tokens: int
    ends: frozenset[int]
    beams: list[tuple[list[int], float]] = field(default_factory=lambda: [([], 0.0)])
    finished: list[tuple[float, list[int]]] = field(default_factory=list)
    steps: int = 0

    @property
    def candidates(self) -> int:
        """How many of the likeliest next tokens each beam needs: enough to go on if the best ones all end."""
        return candidates(self.width, len(self.ends))

    def advance(self, logprobs: list[dict[int, float]]) -> bool:
        """Extend the beams by one token.

        Parameters
        ----------
        logprobs : list of {token id: natural-log probability}
            The likeliest ``candidates`` next tokens of each beam, in the order of ``beams``.

        Returns
        -------
        bool
            Whether the search is decided: :meth:`best` is final.
        """
        self.steps += 1
        extended = (
            (score + logprob, index, token)
            for index, ((_, score), step) in enumerate(zip(self.beams, logprobs, strict=True))
            for token, logprob in step.items()
        )
        # Ties go to the earlier beam and the smaller token id, so that a search gives the same answer each time.
        top = heapq.nsmallest(self.candidates, extended, key=lambda item: (-item[0], item[1], item[2]))
        running: list[tuple[list[int], float]] = []
        for rank, (score, index, token) in enumerate(top):
            tokens = [*self.beams[index][0], token]
            if token in self.ends or self.steps == self.max_tokens:
                if rank < self.width:
                    self.finished.append((score / self.steps, tokens))
            elif len(running) < self.width:
                running.append((tokens, score))
        self.finished = sorted(self.finished, key=lambda item: -item[0])[: self.width]
        self.beams = running
        if not running:
            return True
        return len(self.finished) == self.width and running[0][1] / self.steps <= self.finished[-1][0]

    def best(self) -> tuple[list[int], str]:
        """The best answer without its end token, and its finish reason: stop or length."""
        tokens = self.finished[0][1]
        return (tokens[:-1], "stop") if tokens[-1] in self.ends else (tokens, "length")


def candidates(width: int, ends: int) -> int:
    """Next tokens that each of ``width`` beams needs when ``ends`` token ids can end an answer."""
    return max(2, 1 + ends) * width
