"""Measure how long translations are, and how often the diagnostics' thresholds flag complete and cut ones.

    python tools/measure_lengths.py                         the translated messages of this machine's programs
    python tools/measure_lengths.py results/wmt/*.parquet   WMT24++ segments that a run has read

The ratios of resources/languages.yaml (`length_ratio`) were measured with the first command on Debian 12. Messages with
format directives, options or tables, and untranslated ones, are skipped. A cut translation is its first sentence alone,
of texts with at least four sentences.
"""

from __future__ import annotations

import argparse
import gettext
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import sentencex

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow/scripts"))

from polypref.config.diagnostics import Diagnostics  # noqa: E402
from polypref.config.loading import read_languages  # noqa: E402
from polypref.datasets import completeness as full  # noqa: E402
from polypref.datasets.scripts import OTHER_SCRIPT, other_script  # noqa: E402

CATALOGUES = Path("/usr/share/locale")
FOLDERS = {"zh": "zh_CN"}
_TECHNICAL = re.compile(r"%|--|<\w|\$|\|")
_LATIN = ("Latn",)


def messages(folder: Path, latin: bool) -> Iterator[tuple[str, str]]:
    """Yield the messages of all catalogues in a language's folder with their translations."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("LC_MESSAGES/*.mo")):
        try:
            with open(path, "rb") as file:
                catalogue = gettext.GNUTranslations(file)._catalog
        except UnicodeDecodeError:  # a few catalogues name another encoding than theirs
            continue
        for key, text in catalogue.items():
            if isinstance(key, str) and key and text:
                found[key.split("\x04")[-1]] = text
    for source, text in found.items():
        joined = [" ".join(one.split()) for one in (source, text)]
        english = len(re.findall("[A-Za-z]", joined[1])) / len(joined[1]) if joined[1] else 1
        if joined[0] == joined[1] or any(map(_TECHNICAL.search, joined)) or (not latin and english > 0.1):
            continue
        yield joined[0], joined[1]


def first_sentence(text: str, language: str) -> str:
    return next((part for part in sentencex.segment(language, text) if part.strip()), "")


def measure(code: str, pairs: list[tuple[str, str]], expected: float | None) -> dict:
    """Measure one language: the median ratio, and the percentages that are flagged."""
    (shortest, longest), fewest = Diagnostics().length_ratio, Diagnostics().sentence_ratio
    texts = [(full.prose(text), full.prose(source)) for source, text in pairs]
    long = [(text, source) for text, source in texts if len(source) >= full.FEWEST_CHARACTERS]
    ratio = pd.Series([len(text) / len(source) for text, source in long]).median()

    def flags(text: str, source: str) -> tuple[bool, bool]:
        length = full.length_ratio(text, source, expected or ratio)
        sentences = full.sentence_ratio(text, source, code)
        return full.is_incomplete(length, sentences, shortest, fewest), full.is_too_long(length, longest)

    whole = [flags(*entry) for entry in long]
    several = [entry for entry in long if full.count_sentences(entry[1], "en") >= 4]
    cut = [flags(first_sentence(text, code), source)[0] for text, source in several]
    mean = lambda values: round(100 * sum(values) / len(values), 2) if values else None  # noqa: E731
    return {"language": code, "texts": len(long), "length_ratio": round(ratio, 2),
            "incomplete_percent": mean([a for a, _ in whole]), "too_long_percent": mean([b for _, b in whole]),
            "cut_texts": len(several), "cut_found_percent": mean(cut)}  # fmt: skip


def flagged_scripts(folder: str) -> dict:
    """Count the messages of a folder with Chinese characters that are flagged if Simplified script is expected."""
    texts = {text for _, text in messages(CATALOGUES / folder, latin=True) if re.search("[\u4e00-\u9fff]", text)}
    flagged = [text for text in texts if other_script(text, "Hans") >= OTHER_SCRIPT]
    return {"folder": folder, "messages": len(texts), "wrong_script": len(flagged)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("segments", nargs="*", type=Path, help="files of WMT24++ segments, named {language}.parquet")
    arguments = parser.parse_args()
    rows = []
    for code, language in read_languages(ROOT).items():
        if arguments.segments:
            tables = [pd.read_parquet(path) for path in arguments.segments if path.stem == code]
            pairs = [tuple(pair) for table in tables for pair in table[["source", "reference"]].to_numpy()]
        else:
            pairs = list(messages(CATALOGUES / FOLDERS.get(code, code), language.script in _LATIN))
        if pairs and code != "en":
            rows.append(measure(code, pairs, language.length_ratio))
    print(pd.DataFrame(rows).to_string(index=False))
    if not arguments.segments:
        print(pd.DataFrame(map(flagged_scripts, ("zh_CN", "zh_TW"))).to_string(index=False))


if __name__ == "__main__":
    main()
