"""Translations that lack sentences, answer instead of translating, lose markup or are in the other Chinese script."""

import json

import pytest
from pydantic import ValidationError

from polypref.config.data import WORKFLOW
from polypref.config.diagnostics import PRESETS, Diagnostics
from polypref.config.loading import read_languages
from polypref.datasets.completeness import count_sentences, length_ratio, lost_marks, prose, sentence_ratio
from polypref.datasets.diagnostics import FLAGS, Expected, diagnose
from polypref.datasets.scripts import other_script

FOUR = "The river was wide and slow. Nobody crossed it before noon. Old willows stood on the bank. Where was the boat?"
TRANSLATED = {
    "de": "Der Fluss war breit und langsam. Niemand überquerte ihn vor dem Mittag. Alte Weiden standen am Ufer. Wo "
          "war das Boot?",
    "es": "El río era ancho y lento. Nadie lo cruzaba antes del mediodía. Viejos sauces se alzaban en la orilla. "
          "¿Adónde fue el barco?",
    "ru": "Река была широкой и медленной. Никто не переходил её до полудня. На берегу стояли старые ивы. Куда уплыла "
          "лодка?",
    "zh": "河流又宽又慢。中午之前没有人渡河。岸边长着老柳树。船到哪里去了？",
    "ja": "川は広くて流れが遅かった。正午前に渡る人は誰もいなかった。岸には古い柳が立っていた。船はどこへ行ったのか？",
    "ar": "كان النهر واسعا وبطيئا. لم يعبره أحد قبل الظهر. وقفت أشجار الصفصاف القديمة على الضفة. أين ذهب القارب؟",
}  # fmt: skip
FIRST = {code: text.split("。" if code in ("zh", "ja") else ".")[0] + "." for code, text in TRANSLATED.items()}
LANGUAGES = read_languages(WORKFLOW)


def expected(*translated: str) -> Expected:
    return Expected(
        translated or ("prompt", "chosen", "rejected"),
        {code: language.script for code, language in LANGUAGES.items()},
        {code: language.length_ratio for code, language in LANGUAGES.items()},
        tuple(Diagnostics().length_ratio),
        Diagnostics().sentence_ratio,
    )


def flags_of(chosen: str, language: str, source: str = FOUR, wanted: Expected | None = None) -> list[str]:
    """Return the flags of a pair with this chosen text; its prompt and rejected text are too short to compare."""
    row = {"item_id": "a", "language": language, "source": "s", "chosen": chosen, "rejected": "-"}
    row |= {"prompt": "?", "prompt_messages": [{"role": "user", "content": "?"}]}
    original = {"prompt": "?!", "chosen": source, "rejected": "--"}
    same = lambda texts: [""] * len(texts)  # noqa: E731
    (found,) = diagnose([row], {"a": original}, {}, same, lambda texts: [1] * len(texts), wanted or expected())
    assert set(found["flags"]) <= set(FLAGS)
    return found["flags"]


@pytest.mark.parametrize("code", TRANSLATED)
def test_one_of_four_sentences_is_incomplete(code):
    assert flags_of(TRANSLATED[code], code) == []
    assert count_sentences(TRANSLATED[code], code) == 4
    assert flags_of(FIRST[code], code) == ["chosen_incomplete"]


def test_lost_sentences_are_found_if_the_rest_is_long():
    text = (
        "Der Fluss war so ungemein breit und so überaus langsam, dass ihn auch mit einem guten Boot keiner überquerte."
    )
    assert length_ratio(text, FOUR, 1.19) > 0.8 and sentence_ratio(text, FOUR, "de") == 0.25
    assert flags_of(text, "de") == ["chosen_incomplete"]


def test_an_answer_instead_of_a_translation_is_too_long():
    answer = f"{TRANSLATED['de']}\n\nGerne! {TRANSLATED['de']} Das Boot fuhr den Fluss hinab, bis zum Meer im Westen."
    assert flags_of(answer, "de") == ["chosen_too_long"]


def test_short_texts_english_and_generated_texts_are_not_compared():
    assert flags_of("Ja.", "de", "No way, never.") == []
    assert flags_of("Short.", "en") == []
    assert flags_of(FIRST["de"], "de", wanted=expected("prompt")) == [], "a generated answer may have any length"
    unknown = Expected(("chosen",), {}, {}, (0.5, 2.0), 0.5)
    assert flags_of(" ".join(map(str, range(900))), "fr", "word " * 40, unknown) == [], "not known for French"


def test_code_does_not_count_as_text():
    code = "```python\nfor word in text.split():\n    print(word)\n```\n" * 9
    whole, cut = (flags_of(f"{code}{text['zh']}", "zh", f"{code}{FOUR}") for text in (TRANSLATED, FIRST))
    assert "chosen_incomplete" in cut and not {"chosen_incomplete", "chosen_too_long"} & set(whole)
    assert prose("Run `a_b` for {user}.\n$$x = 1$$\nDone.") == "Run for .\nDone."


MARKS = ["https://example.com/a?b=c&d=1", "`pip install foo_bar`", "{user_name}", "$x^2 = 4$", "%(count)s"]


@pytest.mark.parametrize("mark", MARKS)
def test_a_lost_mark_is_flagged(mark):
    source, kept, lost = f"See {mark} now.", f"Sieh {mark} jetzt an.", "Sieh es an."
    assert lost_marks(kept, source) == [] and lost_marks(lost, source) == [mark]
    assert flags_of(kept, "de", source) == [] and flags_of(lost, "de", source) == ["chosen_loses_markup"]
    assert flags_of(lost, "de", source, expected("prompt")) == []


def test_spaces_in_a_mark_make_no_difference():
    assert lost_marks("$x^2=4$ 是方程。", "$x^2 = 4$ is an equation.") == []


@pytest.mark.parametrize(
    ("text", "script", "share"),
    [
        ("这条河很长，说明水很多。", "Hans", 0.0),
        ("這條河很長，說明水很多。", "Hans", 1.0),
        ("這條河很長，說明水很多。", "Hant", 0.0),
        ("这条河很长，说明水很多。", "Hant", 1.0),
        ("山水人口大小", "Hans", 0.0),
        ("川は流れる。這是說", "Jpan", 0.0),
        ("Der Fluss", "Latn", 0.0),
        ("plain text", "Hans", 0.0),
    ],
)
def test_scripts_are_distinguished_by_characters_that_only_one_has(text, script, share):
    assert other_script(text, script) == share


def test_traditional_characters_in_a_simplified_row_are_flagged():
    traditional = "河流又寬又慢。中午之前沒有人渡河。岸邊長著老柳樹。船到哪裡去了？"
    assert flags_of(traditional, "zh") == ["chosen_wrong_script"]
    assert flags_of(traditional, "zh", wanted=expected("prompt")) == ["chosen_wrong_script"], "generated texts, too"
    assert flags_of(f"{TRANSLATED['zh']}{traditional}", "zh", f"{FOUR} {FOUR}") == ["chosen_wrong_script"]


def test_presets():
    assert {f"{field}_truncated" for field in ("prompt", "chosen", "rejected")} < set(PRESETS["broken"])
    assert set(PRESETS["strict"]) == set(FLAGS) and "chosen_incomplete" in FLAGS
    assert len(FLAGS) <= 31, "the report's reader keeps them in the bits of a 32-bit integer"
    assert json.dumps(Diagnostics().model_dump())


@pytest.mark.parametrize("limits", [[2.0, 0.5], [-1, 1], [1]])
def test_limits_in_the_wrong_order_are_an_error(limits):
    with pytest.raises(ValidationError, match=r"lowest, highest|at least 2 items"):
        Diagnostics(length_ratio=limits)
