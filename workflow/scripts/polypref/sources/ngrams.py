"""Find texts that share n-grams, by the rules of the contamination analyses of GPT-3 and PaLM."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeVar

from polypref.files.visible import visible

LONG, SHORT = 13, 8
"""Words per n-gram: Brown et al. (2020, appendix C) use up to 13, Chowdhery et al. (2022) use 8."""
SHARE = 0.7
"""PaLM counts a text as contaminated if another text contains at least this share of its 8-grams."""
COMMON = 10
"""An n-gram in more texts than this is a stock phrase and is ignored, as in GPT-3's analysis."""
_WORD = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|[^\\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")

Gram = tuple[str, ...]
Key = TypeVar("Key")


def words(text: str) -> list[str]:
    """Return the words of a text after NFKC and case folding, without punctuation; each ideograph or kana is a word.

    Invisible characters are ignored, and combining marks (of Arabic vowels, for example) belong to no word.
    """
    text = unicodedata.normalize("NFKC", visible(text)).casefold()
    if not text.isascii():
        text = "".join(char for char in text if unicodedata.category(char) != "Mn")
    return _WORD.findall(text)


def ngrams(tokens: list[str], size: int) -> set[Gram]:
    """Return the distinct n-grams of a list of words."""
    return {tuple(tokens[start : start + size]) for start in range(len(tokens) - size + 1)}


class Matcher:
    """Finds texts that match one of many references, reading each text once.

    :meth:`candidate` selects the few texts that share anything with a reference, and :meth:`matches` decides on them.
    So only the candidates and the hash values of the references' n-grams are in memory.

    Parameters
    ----------
    references : (id, text) pairs, for example evaluation prompts
    """

    def __init__(self, references: Iterable[tuple[str, str]]) -> None:
        self.references = [(key, tokens) for key, text in references if (tokens := words(text))]
        self._known = {hash(tuple(tokens)) for _, tokens in self.references}
        for _, tokens in self.references:
            self._known.update(map(hash, ngrams(tokens, SHORT)))

    def candidate(self, text: str) -> list[str] | None:
        """Return the words of a text that equals a reference or shares an 8-gram with one, else None."""
        tokens = words(text)
        starts = range(len(tokens) - SHORT + 1)
        if hash(tuple(tokens)) in self._known:
            return tokens
        return tokens if any(hash(tuple(tokens[n : n + SHORT])) in self._known for n in starts) else None

    def matches(self, candidates: Sequence[tuple[Key, list[str]]]) -> list[tuple[Key, str, str]]:
        """Find the candidates that match a reference.

        Parameters
        ----------
        candidates : (id, words) of all texts that are candidates; the ids may be of any type

        Returns
        -------
        (id of the text, id of the reference, rule) for the first match of each text. The rules are ``exact`` (the same
        words after normalisation), ``13-gram`` (one in common) and ``8-gram`` (at least `SHARE` of the reference's).
        """
        distinct = {tuple(tokens) for _, tokens in candidates}
        found_in = Counter(gram for tokens in distinct for gram in ngrams(list(tokens), LONG))
        wanted = {gram for tokens in distinct for gram in ngrams(list(tokens), SHORT)}
        whole: dict[Gram, str] = {}
        long: dict[Gram, str] = {}
        short: dict[Gram, set[int]] = defaultdict(set)
        sizes = []
        for number, (key, tokens) in enumerate(self.references):
            whole.setdefault(tuple(tokens), key)
            for gram in ngrams(tokens, LONG) & found_in.keys():
                long.setdefault(gram, key)
            grams = ngrams(tokens, SHORT)
            sizes.append(len(grams))
            for gram in grams & wanted:
                short[gram].add(number)
        matches = []
        for key, tokens in candidates:
            shared = sorted(gram for gram in ngrams(tokens, LONG) if gram in long and found_in[gram] <= COMMON)
            counts = Counter(number for gram in ngrams(tokens, SHORT) for number in short.get(gram, ()))
            contained = [number for number, n in counts.items() if n >= SHARE * sizes[number]]
            if tuple(tokens) in whole:
                matches.append((key, whole[tuple(tokens)], "exact"))
            elif shared:
                matches.append((key, long[shared[0]], "13-gram"))
            elif contained:
                matches.append((key, self.references[min(contained)][0], "8-gram"))
        return matches
