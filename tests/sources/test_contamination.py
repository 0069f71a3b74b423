"""Pairs whose prompt is in the evaluation set are left out of the base set: constructed cases in four scripts."""

import json

import pytest
from matching import find_matches
from rows_in_memory import reader

from polypref.files.conversations import to_text
from polypref.sources.benchmarks import evaluation_texts, read_evaluation
from polypref.sources.ngrams import Matcher, words
from polypref.sources.sampling import Measured, sample_pairs

EVALUATION = {
    "eng": "Write a short story about a lighthouse keeper who finds a message in a bottle on a stormy night in March.",
    "rus": "Напиши короткий рассказ о смотрителе маяка, который нашёл письмо в бутылке бурной ночью в начале марта.",
    "zho": "写一个关于灯塔看守人在暴风雨之夜发现瓶中信的短篇故事。",
    "arb": "اكتب قصة قصيرة عن حارس منارة يجد رسالة في زجاجة في ليلة عاصفة من ليالي شهر مارس قرب البحر.",
}
TWELVE_WORDS = {
    "eng": "Tell me in three sentences why rivers flow from mountains to seas.",
    "rus": "Скажи мне в трёх предложениях, почему реки текут с гор в моря.",
    "zho": "请说明河流为何总流向大海。",
    "arb": "قل لي في ثلاث جمل لماذا تجري الأنهار من الجبال إلى البحار.",
}
OTHER = {
    "eng": "Explain how photosynthesis works, and why leaves are green in spring but red and yellow in the autumn.",
    "rus": "Объясни, как устроен фотосинтез и почему листья весной зелёные, а осенью красные и жёлтые у нас в лесу.",
    "zho": "解释光合作用的原理以及为什么树叶在春天是绿色而在秋天变红。",
    "arb": "اشرح كيف تعمل عملية التمثيل الضوئي ولماذا تكون الأوراق خضراء في الربيع وحمراء في الخريف عندنا.",
}


def evaluation() -> list[tuple[str, str]]:
    rows = [
        {"id": n, "language": code, "inputs": text}
        for n, texts in enumerate((EVALUATION, TWELVE_WORDS))
        for code, text in texts.items()
    ]
    return list(evaluation_texts([*rows, {"id": 9, "language": "eng", "inputs": None}]))


def planted(code: str) -> dict[str, str]:
    """Return a prompt for each rule, and one that matches nothing."""
    text, glue = EVALUATION[code], "" if code == "zho" else " "
    tokens = words(text)
    return {
        "exact": f"\u200b«{text.upper()}»\n",
        "13-gram": f"{OTHER[code]}\n{glue.join(tokens[2:15])}",
        "8-gram": f"{OTHER[code]}\n{TWELVE_WORDS[code]}\n{OTHER[code]}",
        "": OTHER[code],
    }


def sampled(prompts: list[str], items: int = 100, contaminants=None) -> tuple[list[dict], list[dict]]:
    rows = [
        {"item_id": f"{n:04}", "source": "s", "row": n, "task": "", "prompt": text, "chosen": "c", "rejected": "r"}
        for n, text in enumerate(prompts, 1)
    ]

    measure = lambda pairs: [Measured(1) for _ in pairs]  # noqa: E731
    found = sample_pairs(
        {"s": reader(rows)}, items, 1, 10, measure, evaluation() if contaminants is None else contaminants
    )
    return tuple(map(list, found))


@pytest.mark.parametrize("code", EVALUATION)
def test_planted_prompts_are_left_out_and_named(code):
    texts = planted(code)
    pairs, dropped = sampled(list(texts.values()))
    assert [row["prompt"] for row in pairs] == [OTHER[code]]
    reasons = [f"evaluation prompt {n} in {code} ({rule})" for n, rule in zip((0, 0, 1), texts, strict=False)]
    assert [(row["step"], row["reason"]) for row in dropped] == [("contamination", reason) for reason in reasons]


def test_arabic_with_vowel_marks_is_the_same_text():
    text = EVALUATION["arb"].replace("قصة", "قِصَّة").replace("ليلة", "لَيْلَة")
    assert text != EVALUATION["arb"] and sampled([text])[0] == []


def test_nothing_is_compared_without_evaluation_prompts():
    pairs, dropped = sampled([*EVALUATION.values(), *OTHER.values()], contaminants=())
    assert len(pairs) == 8 and not dropped


def test_contaminated_pairs_are_listed_even_if_they_would_not_be_sampled_and_others_take_their_place():
    prompts = [f"Question {n}?" for n in range(30)] + list(EVALUATION.values())
    small, large = (sampled(prompts, items)[0] for items in (5, 12))
    assert len(small) == 5 and len(large) == 12
    assert {row["item_id"] for row in small} <= {row["item_id"] for row in large}
    steps = [row["step"] for row in sampled(prompts, 5)[1]]
    assert steps.count("contamination") == 4 and steps.count("sample") == 25


def test_a_phrase_that_many_prompts_of_the_sources_share_is_no_match():
    phrase = "Read the following text with care and then answer the question below it in your own words"
    prompts = [f"{phrase} topic{n} again{n} and more" for n in range(11)]
    contaminants = [("0 in eng", f"{phrase}, about cats, dogs and birds, or fish in a big pond near the old mill.")]
    assert len(sampled(prompts, contaminants=contaminants)[0]) == 11
    assert len(sampled(prompts[:10], contaminants=contaminants)[0]) == 0


def test_a_text_that_shares_nothing_is_no_candidate():
    matcher = Matcher(evaluation())
    assert [bool(matcher.candidate(text)) for text in OTHER.values()] == [False] * 4
    assert matcher.candidate("") is None and Matcher([("a", "?!")]).candidate("?!") is None


def chat(system: str, *turns: str) -> list[dict[str, str]]:
    roles = ("user", "assistant", "user")
    return [{"role": "system", "content": system}] + [
        {"role": role, "content": text} for role, text in zip(roles, turns, strict=False)
    ]


def test_conversations_are_compared_without_their_system_message(tmp_path):
    path = tmp_path / "prompts.jsonl"
    system = "You are a patient assistant who answers in full sentences and never says more than what was asked."
    asked = [chat(system, "Name a river."), chat(system, "Which is longer?", "The Nile.", "By how much?"), 5, [1]]
    path.write_text("".join(json.dumps({"prompt": value}) + "\n" for value in asked), encoding="utf-8")
    own = {"columns": {}, "revision": None, "parts": []}
    found = list(read_evaluation([str(path)], {"configs": [], "own": own}))
    places = [f"{path}, row {n}" for n in range(1, 5)]
    assert found == list(
        zip(places, ["Name a river.", "Which is longer?\n\nThe Nile.\n\nBy how much?", "", ""], strict=True)
    )
    prompts = [
        to_text([(m["role"], m["content"]) for m in messages])
        for messages in (asked[0], chat("Be brief.", "name a river"), asked[1], chat(system, "Name a lake."))
    ]
    pairs, dropped = sampled([*prompts, "Name a river!"], contaminants=found)
    assert [row["prompt"] for row in pairs] == [prompts[3]]
    assert [row["reason"] for row in dropped] == [f"evaluation prompt {places[n]} (exact)" for n in (0, 0, 1, 0)]


def test_ones_own_evaluation_set_is_compared(tmp_path):
    """Regression: it was read with the columns of the Aya suite."""
    path = tmp_path / "prompts.csv"
    path.write_text("question,language\nWhich river crosses Vienna?,en\n,de\n", encoding="utf-8")
    own = {"columns": {"prompt": "question"}, "revision": None, "parts": []}
    found = list(read_evaluation([str(path)], {"configs": [], "own": own}))
    assert found == [(f"{path}, row 1", "Which river crosses Vienna?"), (f"{path}, row 2", "")]
    ((key, name, rule),) = find_matches([("pair", "which river crosses VIENNA")], found)
    assert (key, name, rule) == ("pair", f"{path}, row 1", "exact")
