"""Languages as lingua knows them: it identifies 75 languages by ISO 639-1 code, without scripts and regions."""

from __future__ import annotations

from collections.abc import Iterable

_OTHER_CODES = {"fil": "tl", "zh-Hant": "zh"}


def lingua_code(language: str) -> str | None:
    """Return lingua's code of a language of the experiment; None if it can't identify the language or its script."""
    from lingua import IsoCode639_1  # slow to import

    base, _, rest = language.partition("-")
    code = _OTHER_CODES.get(language, "" if len(rest) == 4 else base)
    return code if hasattr(IsoCode639_1, code.upper()) else None


def lingua_codes(languages: Iterable[str]) -> list[str]:
    """Return lingua's codes of those languages that it can identify, in the same order without duplicates."""
    return list(dict.fromkeys(code for language in languages if (code := lingua_code(language))))


def is_wrong_language(found: str, language: str) -> bool:
    """Whether a text is in another language than expected; never if lingua can't identify the expected language."""
    return found not in ("", language) and lingua_code(language) not in (None, found)
