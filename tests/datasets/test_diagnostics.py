"""Pair diagnostics: each signal on a suitable text, the tables of counts, and dropping pairs by flag."""

import pandas as pd
import pytest
from building import build_dataset, table_of

from polypref.config.diagnostics import RATED_FLAGS
from polypref.datasets.diagnostic_tables import tabulate_diagnostics
from polypref.datasets.diagnostics import (
    COPY,
    FLAGS,
    LOOP,
    diagnose,
    language_identifier,
    overlap,
    repetition,
    truncated,
)
from polypref.files.result_tables import read_frames
from polypref.files.schemas import DIAGNOSTICS
from polypref.files.table_writer import write_table
from polypref.sources.tokens import token_counter

SENTENCE = "Der Fluss fliesst langsam durch das Tal, und am Ufer stehen alte Weiden."
PAIR = {"item_id": "a", "source": "s", "row": 1, "task": "t", "prompt": "Tell me about the river in the old valley.",
        "chosen": "It is slow and lined with willow trees.", "rejected": "I do not know any river there."}  # fmt: skip


def rows_of(language: str = "de", **texts: str) -> list[dict]:
    made = {"prompt": "Erzähl mir vom Fluss.", "chosen": SENTENCE, "rejected": "Ich kenne keinen Fluss.", **texts}
    files = {name: [{"item_id": "a", "text": text, "error": None, "model": "m", "checkpoint": "c", "revision": "r",
                     "decoding": "{}"}] for name, text in made.items()}  # fmt: skip
    return build_dataset([PAIR], {language: files}, drop=())[0]


def flags_of(rows: list[dict], identify=lambda texts: ["de"] * len(texts), cut=None) -> list[str]:
    (found,) = diagnose(rows, {"a": PAIR}, cut or {}, identify, lambda texts: [len(text.split()) for text in texts])
    assert set(found["flags"]) <= set(FLAGS)
    return found["flags"]


def test_a_good_pair_has_no_flag():
    assert flags_of(rows_of()) == []


@pytest.mark.parametrize(
    ("texts", "flags"),
    [
        ({"chosen": PAIR["chosen"]}, ["chosen_copies_source"]),
        ({"rejected": f"{PAIR['rejected']} "}, ["rejected_copies_source"]),
        ({"prompt": PAIR["prompt"]}, ["prompt_copies_source"]),
        ({"rejected": "Erzähl  mir vom FLUSS."}, ["rejected_copies_prompt"]),
        ({"chosen": "das Wasser fliesst und " * 12}, ["chosen_repeats"]),
        ({"rejected": SENTENCE}, ["chosen_equals_rejected"]),
    ],
)
def test_each_fault_has_its_flag(texts, flags):
    assert flags_of(rows_of(**texts)) == flags


def test_language_and_truncation():
    dutch = lambda texts: ["nl" if text == SENTENCE else "" for text in texts]  # noqa: E731
    assert flags_of(rows_of(), identify=dutch) == ["chosen_wrong_language"]
    texts = {"rejected": table_of([{"item_id": "a", "finish_reason": "length"}]), "prompt": None}
    assert flags_of(rows_of(), cut=truncated("de", texts)) == ["rejected_truncated"]


def test_an_english_original_is_not_flagged_as_a_copy():
    rows = rows_of("en", **{name: PAIR[name] for name in ("prompt", "chosen", "rejected")})
    assert flags_of(rows, identify=lambda texts: ["en"] * len(texts)) == []


def test_languages_of_short_texts_are_not_identified():
    identify = language_identifier(["en", "de", "is", "ja"])
    texts = {SENTENCE: "de", "Áin rennur hægt um dalinn og gömul tré standa á bakkanum.": "is", "ok": "", "x = 4": "",
             "川はゆっくりと谷を流れています。": "ja", "La rivière coule lentement dans la vallée.": "fr"}  # fmt: skip
    assert dict(zip(texts, identify(list(texts)), strict=True)) == texts


def test_tokens_are_counted_as_the_tokenizer_does():
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("resources/demo/models/base")
    texts = [SENTENCE, "", "wolf 川はゆっくり", SENTENCE * 300]
    lengths = [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    tokenizer.backend_tokenizer.enable_truncation(8)
    tokenizer.backend_tokenizer.enable_padding()  # as in the tokenizer.json of some checkpoints
    assert token_counter(tokenizer)(texts) == lengths and lengths[3] > 1000


def test_measures():
    assert overlap("short", "SHORT") == 1 and overlap("short", "a short text") == 0 and overlap("", "") == 0
    assert overlap(SENTENCE, f"Before. {SENTENCE} After.") == 1
    assert overlap(SENTENCE + " " + SENTENCE[::-1], SENTENCE) == pytest.approx(0.45, abs=0.06)
    assert COPY > 0.5
    assert repetition("ha " * 20) == 0, "too short to measure"
    assert repetition("the same words again " * 10) > 0.85 > LOOP > repetition(SENTENCE + PAIR["prompt"])
    assert repetition(SENTENCE + " No way out." * 30) > LOOP, "a loop at the end of a text that began well"


def test_table_counts_pairs_by_architecture_language_and_source(tmp_path):
    good, bad = rows_of(), rows_of(chosen=PAIR["chosen"])
    german, length = lambda texts: ["de"] * len(texts), lambda texts: [len(text) for text in texts]
    found = [diagnose(rows, {"a": PAIR}, {}, german, length)[0] for rows in (good, bad)]
    write_table(tmp_path / "A.parquet", found, DIAGNOSTICS)
    table = tabulate_diagnostics({"A": read_frames(tmp_path / "A.parquet", DIAGNOSTICS)})
    (row,) = table.to_dict("records")
    assert (row["architecture"], row["language"], row["source"], row["pairs"]) == ("A", "de", "s", 2)
    assert row["chosen_copies_source"] == 1 and row["rejected_repeats"] == 0
    assert row["token_gap"] == pytest.approx(sum(f["token_gap"] for f in found) / 2)
    unrated = [flag for flag in FLAGS if flag not in RATED_FLAGS]
    assert list(table.columns[-len(unrated) :]) == unrated, "the table has no flags of ratings without a rater"
    assert isinstance(table, pd.DataFrame)


def test_pairs_are_dropped_only_for_the_configured_flags():
    texts = {"de": {name: [{"item_id": "a", "text": text, "error": None, "model": "m", "checkpoint": "c",
                            "revision": "r", "decoding": "{}"}]
                    for name, text in (("prompt", "p"), ("chosen", "same"), ("rejected", "same"))}}  # fmt: skip
    flags = {("a", "de"): ["chosen_wrong_language", "rejected_repeats"]}
    assert [d["reason"] for d in build_dataset([PAIR], texts)[1]] == ["chosen equals rejected"]
    kept, dropped = build_dataset([PAIR], texts, drop=("prompt_truncated",), flags=flags)
    assert len(kept) == 1 and not dropped
    kept, dropped = build_dataset([PAIR], texts, drop=("rejected_repeats",), flags=flags)
    assert not kept and (dropped[0]["step"], dropped[0]["reason"]) == ("diagnose", "rejected repeats")
