"""The miniature's data files: small texts written for this project, with the columns of the real data sets."""

import json
import random
from collections.abc import Iterable
from pathlib import Path

from polypref.tiny.lexicon import LANGUAGES, WORDS
from polypref.tiny.sources import Row, make_sources
from polypref.tiny.world import (
    SHORT_TASKS,
    Text,
    ask_description,
    ask_who,
    line,
    realise,
    realise_words,
    statement,
)

SEED = 20240
SEGMENTS = 40
PROMPTS = 20
BAD_SEGMENTS = (11, 27)
LOCALES = {"ar": "ar_EG", "zh": "zh_CN", "de": "de_DE", "is": "is_IS", "ja": "ja_JP", "nl": "nl_NL", "ru": "ru_RU",
           "es": "es_MX"}  # fmt: skip
AYA = {"en": ("eng", "Latn"), "ar": ("arb", "Arab"), "zh": ("zho", "Hans"), "de": ("deu", "Latn"),
       "is": ("isl", "Latn"), "ja": ("jpn", "Jpan"), "nl": ("nld", "Latn"), "ru": ("rus", "Cyrl"),
       "es": ("spa", "Latn")}  # fmt: skip
HUMAN_EDITED = ("ar", "ru", "es")
TRADITIONAL = str.maketrans(
    "马鸟鱼鸭国师医农苹面阳树鸡书车学场红绿蓝黄轻热长强乐伤穷见爱买听着带东从么谁颜说义词数动园头贫",
    "馬鳥魚鴨國師醫農蘋麵陽樹雞書車學場紅綠藍黃輕熱長強樂傷窮見愛買聽著帶東從麼誰顏說義詞數動園頭貧",
)


def make_segments(rng: random.Random, taken: set[str]) -> list[tuple[Text, ...]]:
    """Generate English segments of one line, sometimes two; lines in `taken` are avoided, and new lines added to it."""
    segments: list[tuple[Text, ...]] = []
    while len(segments) < SEGMENTS:
        lines = [line(rng)]
        if len(segments) % 3 == 0:
            lines = [(statement(rng), statement(rng))]
        if len(segments) % 8 == 5:
            lines.append((statement(rng),))
        english = [realise(text, "en") for text in lines]
        if taken.isdisjoint(english) and all(len(text.split()) > 4 for text in english):
            taken.update(english)
            segments.append(tuple(lines))
    return segments


def wmt_rows(segments: list[tuple[Text, ...]], language: str) -> list[Row]:
    """Build WMT24++ rows; references use the rarer of two correct words, `original_target` the usual one."""
    domains = ("news", "literary", "social", "speech")
    return [
        {
            "lp": f"en-{LOCALES[language]}",
            "domain": domains[i // 10 % 4],
            "document_id": f"demo-{domains[i // 10 % 4]}-{i // 5}",
            "segment_id": i,
            "is_bad_source": i in BAD_SEGMENTS,
            "source": "\n".join(realise(text, "en") for text in lines),
            "target": "\n".join(realise(text, language, synonyms=True) for text in lines),
            "original_target": "\n".join(realise(text, language) for text in lines),
        }
        for i, lines in enumerate(segments)
    ]


def make_prompts(rng: random.Random, taken: set[str]) -> list[tuple[Text, Text]]:
    """Generate evaluation prompts with correct answers: two short questions, a story with a question, a description."""
    prompts: list[tuple[Text, Text]] = []
    while len(prompts) < PROMPTS:
        kind = len(prompts) % 5
        if kind in (1, 3):
            prompt, answer = ask_who(rng)
        elif kind == 4 and len(prompts) % 2:
            prompt, answer = ask_description(rng)
        else:
            (first, one), (second, two) = rng.choice(SHORT_TASKS)(rng), rng.choice(SHORT_TASKS)(rng)
            prompt, answer = first + second, one + two
        if realise(prompt, "en") not in taken:
            taken.add(realise(prompt, "en"))
            prompts.append((prompt, answer))
    return prompts


def _badly_translated(prompt: Text, language: str) -> str:
    """Return the prompt with one untranslated English word, a typical error of machine translation."""
    text = realise(prompt, language)
    words = set(realise_words(prompt, language))
    left = [concept for _, concepts in prompt[-1].phrases for concept in concepts if WORDS[concept][language] in words]
    return text.replace(WORDS[left[-1]][language], WORDS[left[-1]]["en"])


def aya_rows(prompts: list[tuple[Text, Text]], language: str) -> tuple[list[Row], list[Row]]:
    """Build rows of dolly_machine_translated and dolly_human_edited (every second prompt of three languages)."""
    code, script = AYA[language]
    translated, edited = [], []
    for i, (prompt, answer) in enumerate(prompts):
        row = {"id": i, "inputs": realise(prompt, language), "targets": realise(answer, language), "language": code}
        if language in HUMAN_EDITED and i % 2 == 0:
            edited.append(row | {"script": script})
            row["inputs"] = _badly_translated(prompt, language)
        translated.append(row | {"script": script})
        if language == "zh" and i < 4:
            traditional = {key: row[key].translate(TRADITIONAL) for key in ("inputs", "targets")}
            translated.append(row | traditional | {"script": "Hant"})
    return translated, edited


def held_out_lines() -> frozenset[str]:
    """Return the English lines and prompts of the demo data that are excluded from training.

    One-sentence prompts about colours, sums or descriptions are not excluded: there are few of them in the miniature's
    world, and they are the facts that the models must learn.
    """
    _, _, _, taken = make_all()
    return frozenset(text for text in taken if len(text.split()) > 5)


def make_all() -> tuple[list[tuple[Text, ...]], list[tuple[Text, Text]], dict[str, list[Row]], set[str]]:
    """Generate segments, evaluation prompts and sources, and return their English lines and prompts too."""
    rng, taken = random.Random(SEED), set()
    segments, prompts = make_segments(rng, taken), make_prompts(rng, taken)
    return segments, prompts, make_sources(rng, taken), taken


def write_jsonl(rows: Iterable[Row], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def write_data(folder: Path) -> None:
    """Write all data files below `folder`, with the same bytes in every run."""
    segments, prompts, sources, _ = make_all()
    for name, rows in sources.items():
        write_jsonl(rows, folder / "sources" / f"{name}.jsonl")
    for language in LANGUAGES[1:]:
        write_jsonl(wmt_rows(segments, language), folder / "wmt24pp" / f"en-{LOCALES[language]}.jsonl")
    for language in LANGUAGES:
        translated, edited = aya_rows(prompts, language)
        write_jsonl(translated, folder / "aya" / "dolly_machine_translated" / f"{AYA[language][0]}.jsonl")
        if edited:
            write_jsonl(edited, folder / "aya" / "dolly_human_edited" / f"{AYA[language][0]}.jsonl")
