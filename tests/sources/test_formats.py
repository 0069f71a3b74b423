"""Sources are converted to pairs, every row is accounted for, and errors name file and row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypref.files.conversations import to_messages
from polypref.files.tables import TableError
from polypref.sources.formats import clean, normalise


def turn(role: str, content: str) -> dict:
    return {"role": role, "content": content}


def arena(winner: str, language: str = "English", extra: int = 0, prompt_b: str = "Hi?") -> dict:
    a = [turn("user", "Hi?"), turn("assistant", "from a")] + [turn("user", "more")] * extra
    b = [turn("user", prompt_b), turn("assistant", "from b")]
    return {"winner": winner, "conversation_a": a, "conversation_b": b, "language": language}


def helpsteer(prompt: str, response: str, score: int) -> dict:
    return {"prompt": prompt, "response": response, "helpfulness": score, "correctness": score, "coherence": 4}


def run(kind: str, rows: list[dict], bad_rows: str = "drop", turns: str | None = None):
    dropped = []
    return list(normalise("s", kind, rows, "file.jsonl", bad_rows, dropped.append, turns)), dropped


def test_chatbot_arena_chooses_the_winner_and_drops_ties_chats_and_other_languages():
    rows = [
        arena("model_a"),
        arena("model_b"),
        arena("tie"),
        arena("tie (bothbad)"),
        arena("model_a", language="German"),
        arena("model_a", extra=1),
        arena("model_a", prompt_b="Other?"),
    ]
    pairs, dropped = run("chatbot_arena", rows)
    assert [(p["chosen"], p["rejected"], p["row"]) for p in pairs] == [("from a", "from b", 1), ("from b", "from a", 2)]
    assert [d["reason"] for d in dropped] == [
        "the vote is tie",
        "the vote is tie (bothbad)",
        "not English",
        "more than one exchange",
        "the two prompts differ",
    ]


def test_helpsteer_pairs_by_the_sum_of_scores():
    rows = [
        helpsteer("p", "low", 1),
        helpsteer("p", "high", 3),
        helpsteer("q", "same", 2),
        helpsteer("q", "equal", 2),
        helpsteer("alone", "x", 2),
        helpsteer("r", "high", 4),
        helpsteer("r", "low", 0),
    ]
    pairs, dropped = run("helpsteer2", rows)
    assert [(p["prompt"], p["chosen"], p["rejected"]) for p in pairs] == [("p", "high", "low"), ("r", "high", "low")]
    assert {(d["row"], d["reason"]) for d in dropped} == {
        (2, "second response of a pair"),
        (3, "both responses have the same score"),
        (4, "both responses have the same score"),
        (5, "no second response to the prompt"),
        (7, "second response of a pair"),
    }


def test_helpsteer_counts_three_scores_and_drops_chats():
    more = {"complexity": 4, "verbosity": 4}
    chat = "Hi\n<extra_id_1>Assistant\nHello\n<extra_id_1>User\nAnd now?"
    rows = [
        {**helpsteer("p", "long", 1), **more},
        helpsteer(chat, "x", 4),
        helpsteer(chat, "y", 1),
        {**helpsteer("p", "good", 2), "complexity": 0, "verbosity": 0},
    ]
    pairs, dropped = run("helpsteer2", rows)
    assert [(p["chosen"], p["rejected"]) for p in pairs] == [("good", "long")], "verbosity and complexity do not count"
    assert [(d["row"], d["reason"]) for d in dropped if d["row"] in (2, 3)] == [
        (2, "more than one exchange"),
        (3, "more than one exchange"),
    ]


def test_chatbot_arena_drops_unequal_lengths_and_other_roles():
    longer = arena("model_a")
    longer["conversation_b"] = [*longer["conversation_b"], turn("user", "more"), turn("assistant", "yes")]
    system = arena("model_b")
    system["conversation_a"] = [turn("system", "Be kind"), turn("user", "Hi?"), turn("assistant", "from a")]
    pairs, dropped = run("chatbot_arena", [longer, system, arena("model_a")])
    assert len(pairs) == 1 and [d["reason"] for d in dropped] == ["more than one exchange"] * 2


def test_tasksource_keeps_the_name_of_the_task():
    pairs, _ = run("tasksource", [{"task": "glue/mnli", "prompt": "p", "chosen": "c", "rejected": "r"}])
    assert pairs[0]["task"] == "glue/mnli"


def step_row(steps: str, chosen: str, rejected: str) -> dict:
    whole = {"initial_reason_steps": steps, "full_chosen": chosen, "full_rejected": rejected}
    return {"prompt": "2+2+1?", "chosen": "a step", "rejected": "another", **whole}


def test_math_step_puts_the_shared_steps_before_both_answers():
    """In the authors' pipeline, the models continue from the end of the steps."""
    steps = "Let's think step by step.\nStep 1: 2+2 is 4.\n\nStep 2:"
    pairs, _ = run("math_step", [step_row(steps, " 4+1 is 5.\nStep 3: So it is 5.", " 4+1 is 6.")])
    assert pairs[0]["chosen"] == f"{steps} 4+1 is 5.\nStep 3: So it is 5."
    assert pairs[0]["rejected"] == f"{steps} 4+1 is 6."


@pytest.mark.parametrize("opener", ["", "Let's think step by step.\n"])
def test_math_step_does_not_repeat_steps_that_an_answer_contains(opener):
    whole = "Step 1: 2+2 is 4.\nStep 2: 4+1 is 5."
    pairs, _ = run("math_step", [step_row(f"{opener}Step 1: 2+2 is 4.\nStep 2:", whole, "It is 6.")])
    assert pairs[0]["chosen"] == whole
    broken = whole.replace("\n", " ")
    pairs, _ = run("math_step", [step_row(f"{opener}Step 1: 2+2 is 4.\nStep 2:", broken, "It is 6.")])
    assert pairs[0]["chosen"] == broken, "lines may be broken elsewhere"
    pairs, dropped = run("math_step", [step_row("", "5", "6"), step_row("Step 1:", "5", " ")])
    assert (pairs[0]["chosen"], pairs[0]["rejected"]) == ("5", "6")
    assert [d["reason"] for d in dropped] == ["rejected is empty"], "the shared steps alone are not an answer"


GOOD = {
    "chatbot_arena": [arena("model_a")],
    "helpsteer2": [helpsteer("q", "low", 1), helpsteer("q", "high", 3)],
    "preference": [{"prompt": "p", "chosen": "c", "rejected": "r"}],
}


@pytest.mark.parametrize(
    ("kind", "row", "reason"),
    [
        ("chatbot_arena", {**arena("model_a"), "conversation_a": None}, "a conversation is not a list of"),
        (
            "chatbot_arena",
            {**arena("model_a"), "conversation_b": "[{'role': 'user'}]"},
            "a conversation is not a list of",
        ),
        (
            "chatbot_arena",
            {**arena("model_a"), "conversation_a": [{"content": "x"}] * 2},
            "a conversation is not a list",
        ),
        ("helpsteer2", {**helpsteer("p", "x", 1), "correctness": None}, "helpfulness, correctness, coherence are not"),
        ("helpsteer2", {**helpsteer("p", "x", 1), "coherence": "good"}, "helpfulness, correctness, coherence are not"),
        ("preference", {"prompt": "p", "chosen": ["c"], "rejected": ["r"]}, "chosen is not a list of"),
        ("preference", {"prompt": 5, "chosen": [turn("assistant", "c")], "rejected": []}, "prompt must be a text or"),
        (
            "preference",
            {"prompt": "p\ud800", "chosen": "c", "rejected": "r"},
            "prompt contains an incomplete character",
        ),
    ],
)
def test_malformed_values_are_bad_rows(kind, row, reason):
    """Each row is dropped and counted, or stops the run with file, row and remedy."""
    pairs, dropped = run(kind, [row, *GOOD[kind]], "drop")
    assert len(pairs) == 1 and dropped[0]["row"] == 1 and dropped[0]["reason"].startswith(reason)
    with pytest.raises(TableError, match=rf"file.jsonl, row 1: {reason}.*bad_rows: drop"):
        run(kind, [row, *GOOD[kind]], "error")


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "p", "chosen": "c", "rejected": "r"},
        {"prompt": [turn("user", "p")], "chosen": [turn("assistant", "c")], "rejected": [turn("assistant", "r")]},
        {
            "chosen": [turn("user", "p"), turn("assistant", "c")],
            "rejected": [turn("user", "p"), turn("assistant", "r")],
        },
        {"prompt": "p", "chosen": [turn("assistant", "c")], "rejected": [turn("assistant", "r")]},
    ],
)
def test_trl_formats_give_the_same_pair(row):
    pairs, _ = run("preference", [row])
    assert [(p["prompt"], p["chosen"], p["rejected"]) for p in pairs] == [("p", "c", "r")]


CHAT = [turn("system", " Be brief.\r\n"), turn("user", "a"), turn("assistant", "b"), turn("user", "p")]


def test_several_turns_are_kept_by_the_preference_format():
    row = {"prompt": CHAT, "chosen": [turn("assistant", "c")], "rejected": [turn("assistant", "r")]}
    (kept,), _ = run("preference", [row])
    assert to_messages(kept["prompt"]) == [turn("system", "Be brief."), *CHAT[1:]]
    plain = {"prompt": "p", "chosen": "c", "rejected": "r"}
    pairs, dropped = run("preference", [row, plain], "error", turns="single")
    assert len(pairs) == 1 and [(d["row"], d["reason"]) for d in dropped] == [(1, "more than one exchange")]


def test_an_empty_system_message_is_left_out_and_another_empty_message_is_an_error():
    row = {"prompt": [turn("system", " "), turn("user", "p")], "chosen": "c", "rejected": "r"}
    plain = {"prompt": "p", "chosen": "c", "rejected": "r"}
    pairs, dropped = run("preference", [row, plain])
    assert [p["prompt"] for p in pairs] == ["p"] and dropped[0]["reason"] == "the same pair as row 1"
    with pytest.raises(TableError, match=r"file.jsonl, row 1: a message of the assistant in prompt is empty"):
        run("preference", [{**row, "prompt": [turn("user", "a"), turn("assistant", ""), turn("user", "p")]}], "error")


def test_public_chats_are_kept_if_both_sides_share_them():
    asked = [turn("user", "Hi?"), turn("assistant", "Hello"), turn("user", "Bye?")]
    other = [asked[0], turn("assistant", "Good day"), asked[2]]
    vote = {"winner": "model_b", "language": "English"}
    rows = [
        {
            **vote,
            "conversation_a": [*asked, turn("assistant", "x")],
            "conversation_b": [*asked, turn("assistant", "y")],
        },
        {
            **vote,
            "conversation_a": [*asked, turn("assistant", "x")],
            "conversation_b": [*other, turn("assistant", "y")],
        },
        {**vote, "conversation_a": asked, "conversation_b": asked},
        arena("model_a"),
    ]
    pairs, dropped = run("chatbot_arena", rows, turns="any")
    assert [(len(to_messages(p["prompt"])), p["chosen"]) for p in pairs] == [(3, "y"), (1, "from a")]
    assert [d["reason"] for d in dropped] == [
        "the two conversations differ before the last answer",
        "a conversation is not a series of questions and answers",
    ]
    chat = "Hi\n<extra_id_1>Assistant\nHello\n<extra_id_1>User\nAnd now?"
    (pair,), _ = run("helpsteer2", [helpsteer(chat, "good", 4), helpsteer(chat, "bad", 1)], turns="any")
    assert to_messages(pair["prompt"]) == [turn("user", "Hi"), turn("assistant", "Hello"), turn("user", "And now?")]
    assert (pair["chosen"], pair["rejected"]) == ("good", "bad")


@pytest.mark.parametrize("field", ["prompt", "chosen", "rejected"])
def test_an_empty_text_is_an_error_that_names_file_row_and_remedy(field):
    rows = [
        {"prompt": "p", "chosen": "c", "rejected": "r"},
        {"prompt": "p2", "chosen": "c", "rejected": "r", field: " "},
    ]
    with pytest.raises(TableError, match=rf"file.jsonl, row 2: {field} is empty.*bad_rows: drop"):
        run("preference", rows, "error")
    pairs, dropped = run("preference", rows, "drop")
    assert len(pairs) == 1 and dropped[0]["reason"] == f"{field} is empty"


def test_equal_responses_and_duplicates_are_dropped():
    rows = [
        {"prompt": "p", "chosen": "c", "rejected": "r"},
        {"prompt": "p ", "chosen": "c\r\n", "rejected": "r"},
        {"prompt": "p", "chosen": "same", "rejected": "same"},
    ]
    pairs, dropped = run("preference", rows)
    assert len(pairs) == 1
    assert [d["reason"] for d in dropped] == ["the same pair as row 1", "chosen equals rejected"]


TEXT = st.text(st.sampled_from("ab \n"), max_size=3)


@given(st.lists(st.fixed_dictionaries({"prompt": TEXT, "chosen": TEXT, "rejected": TEXT}), max_size=20))
def test_every_row_is_kept_or_dropped_exactly_once(rows):
    rows = [{"prompt": "x", "chosen": "y", "rejected": "z"}, *rows]
    pairs, dropped = run("preference", rows)
    assert sorted([p["row"] for p in pairs] + [d["row"] for d in dropped]) == list(range(1, len(rows) + 1))
    assert len({p["item_id"] for p in pairs}) == len(pairs)


@given(st.text())
def test_cleaning_twice_changes_nothing_more(text):
    assert clean(clean(text)) == clean(text)
