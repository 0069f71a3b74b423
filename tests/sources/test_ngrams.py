"""Contamination by n-grams, with known cases in three scripts."""

import pytest
from matching import find_matches

from polypref.sources.ngrams import words

LONG = {
    "Latin": "Write a short story about a lighthouse keeper who finds a message in a bottle on a stormy night",
    "Cyrillic": "Напиши короткий рассказ о смотрителе маяка который нашёл письмо в бутылке бурной ночью в начале марта "
                "у самого моря",
    "Han": "写一个关于灯塔看守人在暴风雨之夜发现瓶中信的短篇故事",
}  # fmt: skip
OTHER = {
    "Latin": "Explain how photosynthesis works and why leaves are green in spring but red and yellow in the autumn",
    "Cyrillic": "Объясни как устроен фотосинтез и почему листья весной зелёные а осенью красные и жёлтые у нас",
    "Han": "解释光合作用的原理以及为什么树叶在春天是绿色而在秋天变红",
}  # fmt: skip


@pytest.mark.parametrize("script", LONG)
def test_known_matches_are_found(script):
    text, other = LONG[script], OTHER[script]
    glue = "" if script == "Han" else " "
    tokens = words(text)
    embedded = other + glue + glue.join(tokens[1:14])
    broken = glue.join(w for n, w in enumerate(tokens) if n != 12)
    texts = [("same", f"  {text.upper()}!!"), ("part", embedded), ("none", other), ("gap", broken)]
    found = {key: (name, rule) for key, name, rule in find_matches(texts, [("eval", text)])}
    assert found["same"] == ("eval", "exact") and found["part"] == ("eval", "13-gram") and "none" not in found
    assert len(tokens) > 26 or "gap" not in found or found["gap"][1] in ("8-gram", "13-gram")


def test_most_8_grams_are_a_match_without_a_common_13_gram():
    reference = " ".join(f"w{n}" for n in range(12))
    assert find_matches([("a", f"x {reference} y")], [("eval", reference)]) == [("a", "eval", "8-gram")]
    assert find_matches([("a", " ".join(f"w{n}" for n in range(10)))], [("eval", reference)]) == []


def test_short_texts_match_only_as_a_whole():
    assert find_matches([("a", "Who are you")], [("eval", "who are you?")]) == [("a", "eval", "exact")]
    assert find_matches([("a", "Who are you now")], [("eval", "who are you?")]) == []


def test_stock_phrases_are_ignored():
    phrase = "read the following text with care and then answer the question below it in words"
    texts = [(str(n), f"{phrase} t{n} and more of topic {n}") for n in range(11)]
    assert (
        find_matches(texts, [("eval", f"{phrase} of your own about cats dogs and birds or fish in a big pond")]) == []
    )
    assert len(find_matches(texts[:10], [("eval", f"{phrase} of your own")])) == 10
