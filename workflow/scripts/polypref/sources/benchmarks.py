"""Convert WMT24++ segments and Aya evaluation prompts from their published columns to one schema per language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from polypref.config.sections import ENGLISH, Evaluation, Language, Wmt
from polypref.files.conversations import to_messages, without_system
from polypref.files.digests import digest
from polypref.files.tables import TableError
from polypref.sources.cleaning import clean, clean_prompt
from polypref.sources.layouts import prompt_turns
from polypref.sources.reading import read_data

Row = dict[str, Any]
WMT_COLUMNS = ("lp", "domain", "document_id", "segment_id", "is_bad_source", "source", "target")
AYA_COLUMNS = ("id", "inputs", "targets", "language", "script")
HUMAN_EDITED, MACHINE_TRANSLATED = "dolly_human_edited", "dolly_machine_translated"
AYA_CONFIGS = (HUMAN_EDITED, MACHINE_TRANSLATED)


def wmt_config(language: Language) -> str:
    """Return the name of the WMT24++ configuration of a target language, e.g. ``en-de_DE``."""
    return f"en-{language.wmt24pp}"


def wmt_path(wmt: Wmt, language: Language) -> str:
    """Return the path of a local file of segments, or the data set's name on the Hub."""
    return wmt.path.replace("{config}", wmt_config(language))


def aya_path(evaluation: Evaluation, language: Language, config: str) -> str:
    """Return the path of a local file of prompts, or the suite's name on the Hub."""
    return evaluation.path.replace("{config}", config).replace("{iso}", language.iso639_3)


def normalise_wmt(
    rows: list[Row], path: str, code: str, language: Language, subset: int | None, seed: int
) -> list[Row]:
    """Convert the segments of one language to schema SEGMENTS, without the bad sources.

    ``subset`` is the number of segments to keep. They are the same in every language, and a larger subset contains
    every smaller one.

    Raises
    ------
    TableError
        A segment occurs twice, is empty, or belongs to another language pair. The message names the file and row.
    """
    segments: dict[str, Row] = {}
    for number, row in enumerate(rows, 1):
        if row["lp"] != wmt_config(language):
            raise TableError(f"{path}, row {number}: lp is {row['lp']!r}, expected {wmt_config(language)!r}.")
        if row["is_bad_source"] in (True, "True", "true", "1"):
            continue
        item_id = f"{row['document_id']}:{row['segment_id']}"
        if item_id in segments:
            raise TableError(f"{path}, row {number}: document_id and segment_id occur twice ({item_id}).")
        source, reference = clean(row["source"]), clean(row["target"])
        for name, text in (("source", source), ("target", reference)):
            if not text:
                raise TableError(f"{path}, row {number}: {name} is empty ({item_id}).")
        segments[item_id] = {
            "item_id": item_id,
            "language": code,
            "domain": str(row["domain"]),
            "document_id": str(row["document_id"]),
            "segment_id": int(row["segment_id"]),
            "source": source,
            "reference": reference,
        }
    kept = sorted(segments.values(), key=lambda row: digest(seed, row["item_id"]))[:subset]
    return sorted(kept, key=lambda row: (row["document_id"], row["segment_id"]))


def normalise_prompts(
    configs: dict[str, tuple[str, list[Row]]], code: str, language: Language, wanted: int, seed: int
) -> list[Row]:
    """Sample the evaluation prompts of one language, in schema PROMPTS.

    A human-edited entry replaces the machine-translated one with the same ``id``. Since the suite's revision ef864c8,
    this is the prompt's id in Dolly in both configurations. Rows of another language or script are ignored. The same
    source prompts are sampled in every language, and a larger sample contains every smaller one.

    Parameters
    ----------
    configs : {configuration: (path to name in messages, rows)}

    Raises
    ------
    TableError
        An id occurs twice in one configuration, a prompt is empty, or there are fewer prompts than requested.
    """
    prompts: dict[str, Row] = {}
    for config in (MACHINE_TRANSLATED, HUMAN_EDITED):
        path, rows = configs.get(config, ("", []))
        seen: set[str] = set()
        for number, row in enumerate(rows, 1):
            if row["language"] != language.iso639_3 or row["script"] != language.script:
                continue
            prompt_id = str(row["id"])
            if prompt_id in seen:
                raise TableError(f"{path}, row {number}: id {prompt_id} occurs twice for {language.name}.")
            seen.add(prompt_id)
            prompt = clean(row["inputs"])
            if not prompt:
                raise TableError(f"{path}, row {number}: inputs is empty (id {prompt_id}).")
            prompts[prompt_id] = {
                "item_id": digest("prompt", prompt_id, code),
                "prompt_id": prompt_id,
                "language": code,
                "config": config,
                "prompt": prompt,
                "reference": clean(row["targets"]),
            }
    if len(prompts) < wanted:
        paths = ", ".join(path for path, _ in configs.values())
        raise TableError(
            f"{paths}: has {len(prompts)} prompts in {language.name} ({language.iso639_3}, {language.script}), "
            f"evaluation.prompts_per_language asks for {wanted}."
        )
    sampled = sorted(prompts, key=lambda prompt_id: digest(seed, prompt_id))[:wanted]
    return [prompts[prompt_id] for prompt_id in sorted(sampled)]


def aya_configs(code: str) -> tuple[str, ...]:
    """Return the configurations to read for a language; the English prompts were never edited or translated."""
    return (MACHINE_TRANSLATED,) if code == ENGLISH else AYA_CONFIGS


def read_evaluation(files: Iterable[str], compared: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Read the whole evaluation set, from local files or the Hub, as :func:`evaluation_texts`.

    ``compared`` has the path, revision and configurations of a set on the Hub; without configurations, none is read.
    ``own`` describes the user's own set: columns, revision, and path, subset and split of its parts on the Hub.
    """
    if own := compared.get("own"):
        parts = [(path, None, "test") for path in files] or own["parts"]
        for path, subset, split in parts:
            rows = read_data(path, ("prompt",), subset, split, own["revision"], own["columns"])
            yield from ((f"{path}, row {number}", _own_text(row["prompt"])) for number, row in enumerate(rows, 1))
        return
    for path in files:
        yield from evaluation_texts(read_data(path, AYA_COLUMNS))
    for name in compared["configs"]:
        yield from evaluation_texts(read_data(compared["path"], AYA_COLUMNS, name, "test", compared["revision"]))


def _own_text(prompt: Any) -> str:
    """Return the text of a prompt without its system message; it is empty if the value is no prompt."""
    if not isinstance(prompt, list | dict):
        return clean(prompt)
    try:
        return without_system(to_messages(clean_prompt(prompt_turns(prompt))))
    except ValueError:
        return ""


def evaluation_texts(rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """Yield a name and the text of each evaluation prompt in the set, in all its languages, sampled or not."""
    for row in rows:
        if text := clean(row["inputs"]):
            yield f"{row['id']} in {row['language']}", text
