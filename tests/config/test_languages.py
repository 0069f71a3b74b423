"""The table of languages, checked against langcodes, sacreBLEU, lingua and NLLB's tokenizer."""

import re
import unicodedata
from collections import Counter
from pathlib import Path

import langcodes
import pytest
import sacrebleu
import yaml
from config_errors import error_of
from sacrebleu.metrics.bleu import BLEU
from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES

from polypref.config.loading import load_config, read_languages
from polypref.datasets.identification import is_wrong_language, lingua_code, lingua_codes
from polypref.plan.plan import Plan

ROOT = Path(__file__).parents[2]
TABLE = read_languages(ROOT)
WMT24PP = 55
"""Target languages and dialects of WMT24++, by its paper."""


def test_all_of_flores_200_is_in_the_table():
    flores = {f"{entry.iso639_3}_{entry.script}" for entry in TABLE.values()}
    known = {code if code != "sat_Beng" else "sat_Olck" for code in FAIRSEQ_LANGUAGE_CODES}
    assert flores == known | {"arb_Latn", "min_Arab"} and len(flores) == 204
    assert {entry.nllb for entry in TABLE.values()} - {None} == set(FAIRSEQ_LANGUAGE_CODES)


def test_all_of_wmt24pp_is_in_the_table_once():
    codes = Counter(entry.wmt24pp for entry in TABLE.values() if entry.wmt24pp)
    assert len(codes) == WMT24PP and set(codes.values()) == {1}
    for key, entry in TABLE.items():
        if entry.wmt24pp:
            found, wanted = langcodes.Language.get(entry.wmt24pp), langcodes.Language.get(key)
            assert langcodes.tag_distance(found, wanted) <= 10, f"{key}: {entry.wmt24pp}"


@pytest.mark.parametrize("key", TABLE)
def test_keys_are_standard_tags_of_the_same_language_as_the_iso_and_nllb_codes(key):
    entry = TABLE[key]
    assert langcodes.tag_is_valid(key) and langcodes.standardize_tag(key) == key
    assert langcodes.tag_is_valid(f"{entry.iso639_3}-{entry.script}")
    macro = langcodes.standardize_tag(entry.iso639_3, macro=True)
    assert key.split("-")[0] in {langcodes.standardize_tag(entry.iso639_3), macro, {"fuv": "ff", "pbt": "ps",
        "quy": "qu", "prs": "fa"}.get(entry.iso639_3)}  # fmt: skip
    assert entry.nllb is None or entry.nllb.startswith(f"{entry.iso639_3}_")


def test_keys_are_valid_in_file_names_and_are_not_misread_by_yaml():
    raw = yaml.safe_load((ROOT / "resources/languages.yaml").read_text(encoding="utf-8"))
    assert all(isinstance(key, str) and re.fullmatch(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?", key) for key in raw)
    assert len({key.lower() for key in raw}) == len(raw), "keys that differ only in case are one file on some systems"
    assert yaml.safe_load(f"[{', '.join(raw)}]") == list(raw)


def test_names_are_unique():
    assert max(Counter(entry.name for entry in TABLE.values()).values()) == 1
    assert all(unicodedata.is_normalized("NFC", entry.endonym) for entry in TABLE.values())


@pytest.mark.parametrize("key", TABLE)
def test_tokenisers_are_the_ones_that_sacrebleu_chooses(key):
    entry = TABLE[key]
    base = "zh" if entry.script in ("Hans", "Hant") else key.split("-")[0]
    chosen = BLEU._TOKENIZER_MAP.get(base)
    assert entry.bleu_tokenizer == (chosen or ("flores200" if entry.bleu_tokenizer == "flores200" else "13a"))
    assert entry.bleu_tokenizer in sacrebleu.metrics.bleu._TOKENIZERS
    if entry.bleu_tokenizer != "flores200":  # its model would be downloaded
        assert BLEU(tokenize=entry.bleu_tokenizer).sentence_score("a b c d", ["a b c d"]).score == pytest.approx(100)


def test_scripts_without_spaces_between_words_have_a_tokeniser():
    unspaced = {"Hans", "Hant", "Jpan", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"}
    assert {entry.script for entry in TABLE.values() if entry.bleu_tokenizer != "13a"} == {*unspaced, "Hang"}


@pytest.mark.parametrize("key", TABLE)
def test_the_direction_is_that_of_the_script(key):
    entry = TABLE[key]
    assert (entry.direction == "rtl") == (entry.script in ("Arab", "Hebr"))
    letters = [char for char in entry.endonym if char.isalpha()]
    if "ARABIC" in unicodedata.name(letters[0]) or "HEBREW" in unicodedata.name(letters[0]):
        assert {unicodedata.bidirectional(char) for char in letters} <= {"R", "AL"}


def test_entries_of_the_published_experiment_are_unchanged():
    names = {"en": "English", "ar": "Arabic", "zh": "Chinese", "de": "German", "is": "Icelandic", "ja": "Japanese",
             "nl": "Dutch", "ru": "Russian", "es": "Spanish"}  # fmt: skip
    wmt = {"ar": "ar_EG", "zh": "zh_CN", "de": "de_DE", "is": "is_IS", "ja": "ja_JP", "nl": "nl_NL", "ru": "ru_RU",
           "es": "es_MX"}  # fmt: skip
    for key, name in names.items():
        assert (TABLE[key].name, TABLE[key].wmt24pp) == (name, wmt.get(key))
    assert TABLE["ar"].of_data() == {
        "name": "Arabic", "endonym": "العربية", "iso639_3": "arb", "script": "Arab", "wmt24pp": "ar_EG",
        "bleu_tokenizer": "13a", "direction": "rtl",
    }  # fmt: skip


def test_texts_in_languages_that_lingua_does_not_know_are_never_flagged():
    assert [lingua_code(key) for key in ("pt-PT", "fil", "zh-Hant", "fa-AF", "nb")] == ["pt", "tl", "zh", "fa", "nb"]
    assert [lingua_code(key) for key in ("ckb", "ace-Arab", "ar-Latn", "gd")] == [None] * 4
    assert lingua_codes(["pt", "pt-PT", "ckb"]) == ["pt"]
    assert not is_wrong_language("pt", "pt-PT") and is_wrong_language("en", "pt-PT")
    assert not is_wrong_language("ar", "ckb") and not is_wrong_language("tl", "fil")


@pytest.mark.parametrize(("wrong", "right"), [
    ("por", "pt"), ("Portuguese", "pt"), ("pt_PT", "pt-PT"), ("no", "nb"), ("zho_Hant", "zh-Hant"), ("pt-pt", "pt-PT"),
    ("tgl", "fil"), ("Filipno", "fil"),
])  # fmt: skip
def test_an_unknown_language_is_reported_with_a_suggestion(demo, wrong, right):
    demo["languages"] = ["en", wrong]
    text = error_of(demo)
    assert f"languages: found {wrong!r}" in text and f"did you mean {right!r}?" in text and len(text) < 400


def test_checkpoints_may_take_their_codes_from_the_table(demo):
    demo["languages"] = ["en", "de", "pt-PT", "fil"]
    demo["checkpoints"] = {"nllb": {"engine": "seq2seq", "path": "resources/demo/models/nllb", "languages": "nllb"}}
    demo["wmt"]["translators"] = ["nllb"]
    plan = Plan(load_config(demo, ROOT), TABLE)
    asked = plan.request_settings_of_model("nllb", "pt-PT", translate=True)["decoding"]
    assert (asked["source_code"], asked["target_code"]) == ("eng_Latn", "por_Latn")
    assert "pairs/rejected/nllb/fil" in plan.batches()["translate", "nllb"]


def test_a_language_that_the_table_has_no_nllb_code_for_is_an_error(demo):
    demo["languages"] = ["en", "min-Arab"]
    demo["checkpoints"] = {"nllb": {"engine": "seq2seq", "path": "resources/demo/models/nllb", "languages": "nllb"}}
    assert "no code for 'min-Arab'" in error_of(demo)
