"""The judge's sanity set."""

from synthetic import LANGUAGES, OPPONENTS, answers, prompts_of

from polypref.requests.asking import RequestSettings
from polypref.requests.sanity import ITSELF, OTHER, ask_sanity, sanity_pairs

JUDGE = RequestSettings("judge", "owner/judge", "abc", False, {"temperature": 0.0})
TEMPLATE = "<p>{prompt}</p><a>{answer_a}</a><b>{answer_b}</b>"


def of(language: str):
    """Return prompts and the opponents' answers, which are all different."""
    texts = {name: answers(name, language).to_dict("records") for name in OPPONENTS}
    for name, rows in texts.items():
        for number, row in enumerate(rows):
            row["text"] = f"{name} answers {number}"
    return prompts_of(language).to_dict("records"), texts


def test_requests_in_both_orders():
    prompts, texts = of(LANGUAGES[1])
    rows = ask_sanity(prompts, texts, JUDGE, TEMPLATE, "Arabic", 5)
    assert len(rows) == 5 * 2 * 2 and {row["opponent"] for row in rows} == set(OPPONENTS)
    for row in rows:
        number, name = int(row["item_id"][-4:]), row["opponent"]
        text = row["messages"][0]["content"]
        first, second = text.split("<a>")[1].split("</a>")[0], text.split("<b>")[1].split("</b>")[0]
        own = f"{name} answers {number}"
        if row["policy"] == ITSELF:
            assert first == second == own
        else:
            assert row["policy"] == OTHER and first != second
            assert (first if row["order"] == "policy_first" else second) == own
    assert len({row["request_id"] for row in rows}) == 5 * 3, (
        "an answer compared with itself gives one request for both orders"
    )


def test_a_larger_sample_contains_a_smaller_one():
    prompts, texts = of("de")
    small, large = (sanity_pairs(prompts, texts, number, 1) for number in (4, 9))
    assert large[:4] == small and sanity_pairs(prompts, texts, 9, 2) != large
    assert sanity_pairs(prompts[::-1], texts, 4, 1) == small


def test_empty_answers_are_skipped_and_equal_answers_have_no_winner():
    prompts, texts = of("de")
    for rows in texts.values():
        rows[0]["text"] = " "
        rows[1]["error"] = "timeout"
        for row in rows[2:]:
            row["text"] = "the same answer"
    pairs = sanity_pairs(prompts, texts, 99, 1)
    assert len(pairs) == len(prompts) - 2 and all(other is None for *_, other in pairs)
