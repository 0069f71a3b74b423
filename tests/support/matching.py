"""Find texts that match a reference, with the class that the workflow uses."""

from collections.abc import Iterable

from polypref.sources.ngrams import Key, Matcher


def find_matches(texts: Iterable[tuple[Key, str]], references: Iterable[tuple[str, str]]) -> list[tuple[Key, str, str]]:
    """Find texts, given as (id, text), that match a reference; the result is that of :meth:`Matcher.matches`."""
    matcher = Matcher(references)
    return matcher.matches([(key, tokens) for key, text in texts if (tokens := matcher.candidate(text))])
