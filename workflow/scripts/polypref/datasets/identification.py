"""Languages as lingua knows them: it identifies 75 languages by ISO 639-1 code, without scripts and regions."""

from __future__ import annotations

from collections.abc import Iterable

from polypref.running.fork_server import Imports

NEIGHBOURS = ("en", "da", "sv", "nb", "fr", "pt", "it", "uk", "ko", "fa", "af")
"""Languages to identify besides those of the experiment: models switch to them, or they are easily confused."""
_SAMPLES = (
    "The five boxing wizards jump quickly over the lazy dog.",
    "Съешь ещё этих мягких французских булок, да выпей чаю.",
    "هذا نص قصير باللغة العربية عن الطقس اليوم في المدينة.",
    "यह हिन्दी भाषा में लिखा हुआ एक छोटा सा वाक्य है।",
)
"""A sentence in each script for which lingua needs the models of several languages."""
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


def load_models(*languages: str) -> None:
    """Load lingua's models of some languages, in this thread only, so that forks of this process need not load them."""
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    codes = [getattr(IsoCode639_1, code.upper()) for code in lingua_codes(languages)]
    detector = LanguageDetectorBuilder.from_iso_codes_639_1(*codes).build()
    for text in _SAMPLES:
        detector.detect_language_of(text)


def imported_by_identification(languages: Iterable[str], *modules: str) -> Imports:
    """Return what scripts import and load that identify languages or load a tokenizer, and further modules."""
    common = (
        "pandas",
        "pyarrow.parquet",
        "snakemake.logging",
        "rich.text",
        "transformers.models.auto.tokenization_auto",
    )
    loaded = f"{load_models.__module__}:{load_models.__name__}:{','.join(languages)}"
    return Imports("languages", (*common, *modules, loaded))
