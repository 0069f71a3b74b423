"""The state of one beam search, which follows the rules of ``generate`` in Hugging Face transformers.

The best beam is the same as with ``model.generate(num_beams=width, early_stopping=False, length_penalty=1.0)``. This
module only processes probabilities; :mod:`polypref.requests.engines.beam_engine` runs the model for many searches.
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
        Maximum length of the output, including the end token.
    ends : frozenset of int
        Ids of the end tokens.

    Attributes
    ----------
    beams : list of (list of int, float)
        Output tokens so far and the sum of their natural-log probabilities, best first; one beam at the start, then
        ``width`` beams.
    origins : list of int
        Index of each beam's predecessor in the previous ``beams``.
    steps : int
        Number of output tokens of each beam.
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
        """Number of most likely extensions that a step needs, so that enough remain if the best ones are end tokens."""
        return candidates(self.width, len(self.ends))

    def advance(self, extensions: list[tuple[float, int, int]]) -> bool:
        """Extend the beams by one token.

        Parameters
        ----------
        extensions : list of (float, int, int)
            The ``candidates`` most likely extensions of all beams: summed natural-log probability, index in ``beams``,
            token id.

        Returns
        -------
        bool
            Whether the search is finished, so that :meth:`best` is final.
        """
        self.steps += 1
        # Break ties by beam and token id, so that the same search always gives the same result.
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
        # If the vocabulary is smaller than the number of beams, fill up with beams that can't win.
        spare = self.width - len(running)
        self.beams = running + [(running[0][0], -math.inf)] * spare
        self.origins = origins + [origins[0]] * spare
        return len(self.finished) == self.width and running[0][1] / self.steps <= self.finished[-1][0]

    def best(self) -> tuple[list[int], str]:
        """Return the best output without its end token, and its finish reason: stop or length."""
        tokens = self.finished[0][1]
        return (tokens[:-1], "stop") if tokens[-1] in self.ends else (tokens, "length")


def candidates(width: int, ends: int) -> int:
    """Return the number of extensions that a step needs for ``width`` beams and ``ends`` end tokens."""
    return max(2, 1 + ends) * width
