"""Find texts that share n-grams, by the rules of the contamination analyses of GPT-3 and PaLM."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable

LONG, SHORT = 13, 8
"""Words per n-gram: Brown et al. (2020, appendix C) use up to 13, Chowdhery et al. (2022) use 8."""
SHARE = 0.7
"""PaLM counts a text as contaminated if another text contains at least this share of its 8-grams."""
COMMON = 10
"""An n-gram in more texts than this is a stock phrase and is ignored, as in GPT-3's analysis."""
_WORD = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|[^\\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")

Gram = tuple[str, ...]


def words(text: str) -> list[str]:
    """Return the words of a text after NFKC and case folding, without punctuation; each ideograph or kana is a word."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def ngrams(tokens: list[str], size: int) -> set[Gram]:
    """Return the distinct n-grams of a list of words."""
    return {tuple(tokens[start : start + size]) for start in range(len(tokens) - size + 1)}


def find_matches(texts: Iterable[tuple[str, str]], references: Iterable[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Find texts that match a reference.

    Parameters
    ----------
    texts, references : (id, text) pairs, for example prompts of a data set and evaluation prompts.

    Returns
    -------
    (id of the text, id of the reference, rule) for the first match of each text. The rules are ``exact`` (the same
    words after normalisation), ``13-gram`` (one in common) and ``8-gram`` (at least `SHARE` of the reference's).
    """
    split = [(key, words(text)) for key, text in texts]
    found_in = Counter(gram for gram_set in {tuple(w): ngrams(w, LONG) for _, w in split}.values() for gram in gram_set)
    whole: dict[Gram, str] = {}
    long: dict[Gram, str] = {}
    short: dict[Gram, set[str]] = defaultdict(set)
    sizes: dict[str, int] = {}
    for key, text in references:
        tokens = words(text)
        if tokens:
            whole.setdefault(tuple(tokens), key)
        for gram in ngrams(tokens, LONG):
            long.setdefault(gram, key)
        grams = ngrams(tokens, SHORT)
        sizes[key] = len(grams)
        for gram in grams:
            short[gram].add(key)
    matches = []
    for key, tokens in split:
        shared = sorted(gram for gram in ngrams(tokens, LONG) if gram in long and found_in[gram] <= COMMON)
        counts = Counter(name for gram in ngrams(tokens, SHORT) for name in short.get(gram, ()))
        contained = sorted(name for name, n in counts.items() if n >= SHARE * sizes[name])
        if tuple(tokens) in whole:
            matches.append((key, whole[tuple(tokens)], "exact"))
        elif shared:
            matches.append((key, long[shared[0]], "13-gram"))
        elif contained:
            matches.append((key, contained[0], "8-gram"))
    return matches
