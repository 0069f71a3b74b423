"""The state of one beam search, by the rules of Hugging Face transformers' ``generate``.

The best beam is that of ``model.generate(num_beams=width, early_stopping=False, length_penalty=1.0)``. The model is run
by :mod:`polypref.requests.engines.beam_engine`, many searches at a time; here is what follows from its probabilities.
"""

from __future__ import annotations

import math
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
        Answer tokens so far and the sum of their natural-log probabilities, best first: one at the start, then
        ``width`` of them.
    origins : list of int
        The index that each beam's predecessor had in ``beams``.
    steps : int
        Tokens of each beam.
    """

    width: int
    max_tokens: int
    ends: frozenset[int]
    beams: list[tuple[list[int], float]] = field(default_factory=lambda: [([], 0.0)])
    origins: list[int] = field(default_factory=lambda: [0])
    finished: list[tuple[float, list[int]]] = field(default_factory=list)
    steps: int = 0

    @property
    def candidates(self) -> int:
        """How many of the likeliest extensions a step needs: enough to go on if the best ones all end."""
        return candidates(self.width, len(self.ends))

    def advance(self, extensions: list[tuple[float, int, int]]) -> bool:
        """Extend the beams by one token.

        Parameters
        ----------
        extensions : list of (float, int, int)
            The likeliest ``candidates`` extensions of all beams: summed natural-log probability, index in ``beams``,
            token id.

        Returns
        -------
        bool
            Whether the search is decided: :meth:`best` is final.
        """
        self.steps += 1
        # Ties go to the earlier beam and the smaller token id, so that a search gives the same answer each time.
        extensions = sorted(extensions, key=lambda item: (-item[0], item[1], item[2]))
        running: list[tuple[list[int], float]] = []
        origins: list[int] = []
        for rank, (score, index, token) in enumerate(extensions):
            if token in self.ends or self.steps == self.max_tokens:
                if rank < self.width and score > -math.inf:
                    self.finished.append((score / self.steps, [*self.beams[index][0], token]))
            elif len(running) < self.width:
                running.append(([*self.beams[index][0], token], score))
                origins.append(index)
        self.finished = sorted(self.finished, key=lambda item: -item[0])[: self.width]
        if not running or self.steps == self.max_tokens:
            return True
        # A vocabulary that is smaller than the beams leaves some without a token: they can't win.
        spare = self.width - len(running)
        self.beams = running + [(running[0][0], -math.inf)] * spare
        self.origins = origins + [origins[0]] * spare
        return len(self.finished) == self.width and running[0][1] / self.steps <= self.finished[-1][0]

    def best(self) -> tuple[list[int], str]:
        """The best answer without its end token, and its finish reason: stop or length."""
        tokens = self.finished[0][1]
        return (tokens[:-1], "stop") if tokens[-1] in self.ends else (tokens, "length")


def candidates(width: int, ends: int) -> int:
    """Extensions that ``width`` beams need when ``ends`` token ids can end an answer."""
    return max(2, 1 + ends) * width
