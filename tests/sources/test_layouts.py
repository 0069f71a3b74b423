"""TRL's preference formats are converted to a prompt and two answers; other rows are rejected with a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypref.sources.layouts import exchange, marked_turns


def turn(role: str, content, **more) -> dict:
    return {"role": role, "content": content, **more}


ASK, GOOD, BAD = turn("user", "Name a lake."), turn("assistant", "Como"), turn("assistant", "Oslo")
EXPECTED = ("Name a lake.", "Como", "Oslo")


def parts(*texts: str) -> list[dict]:
    return [{"type": "text", "text": text, "image": None} for text in texts]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Name a lake.", "chosen": "Como", "rejected": "Oslo"},
        {"prompt": [ASK], "chosen": [GOOD], "rejected": [BAD]},
        {"prompt": [ASK], "chosen": "Como", "rejected": "Oslo"},
        {"chosen": [ASK, GOOD], "rejected": [ASK, BAD]},
        {"prompt": "Name a lake.", "chosen": [GOOD], "rejected": [BAD]},
        {"prompt": "Name a lake.", "chosen": [ASK, GOOD], "rejected": [ASK, BAD]},
        {"prompt": " Name a lake.\n", "chosen": [ASK, GOOD], "rejected": [ASK, BAD]},
        {"prompt": [ASK], "chosen": [ASK, GOOD], "rejected": [ASK, BAD]},
        {"chosen": [{**ASK, "tool_calls": None}, GOOD], "rejected": [ASK, {**BAD, "name": None}]},
        {"prompt": None, "chosen": [{**ASK, "name": "x"}, GOOD], "rejected": [ASK, BAD]},
        {"prompt": "Name a lake.", "chosen": GOOD, "rejected": BAD},
        {"prompt": ASK, "chosen": [GOOD], "rejected": [BAD]},
        {"prompt": [turn("user", parts("Name ", "a lake."))], "chosen": [turn("assistant", parts("Como"))],
         "rejected": [turn("assistant", ["Oslo"])]},
        {"chosen": "\n\nHuman: Name a lake.\n\nAssistant: Como",
         "rejected": "\n\nHuman: Name a lake.\n\nAssistant: Oslo"},
        {"chosen": "Human: Name a lake.\n\nAssistant: Como", "rejected": "Human: Name a lake.\n\nAssistant:Oslo"},
    ],
)  # fmt: skip
def test_each_layout_gives_the_same_exchange(row):
    ((role, prompt),), *answers = exchange(row)
    assert role == "user" and (prompt.strip(), *answers) == EXPECTED


def test_equal_answers_stay_answers():
    assert exchange({"chosen": [ASK, GOOD], "rejected": [ASK, GOOD]}) == ((("user", "Name a lake."),), "Como", "Como")


SYSTEM = turn("system", "Be brief.")
MORE = [ASK, GOOD, turn("user", "Another?")]


@pytest.mark.parametrize(
    ("row", "roles"),
    [
        ({"prompt": [SYSTEM, ASK], "chosen": [GOOD], "rejected": [BAD]}, "su"),
        ({"prompt": "Name a lake.", "chosen": [SYSTEM, ASK, GOOD], "rejected": [SYSTEM, ASK, BAD]}, "su"),
        ({"chosen": [*MORE, GOOD], "rejected": [*MORE, BAD]}, "uau"),
        ({"prompt": [SYSTEM, *MORE], "chosen": "Como", "rejected": "Oslo"}, "suau"),
        ({"prompt": MORE, "chosen": [*MORE, GOOD], "rejected": [*MORE, BAD]}, "uau"),
        ({"prompt": "Another?", "chosen": [*MORE, GOOD], "rejected": [*MORE, BAD]}, "uau"),
        ({"prompt": "Name a lake.", "chosen": [SYSTEM, *MORE, GOOD], "rejected": [SYSTEM, *MORE, BAD]}, "suau"),
        ({"chosen": "\n\nHuman: Name a lake.\n\nAssistant: Como\n\nHuman: Another?\n\nAssistant: Como",
          "rejected": "\n\nHuman: Name a lake.\n\nAssistant: Como\n\nHuman: Another?\n\nAssistant: Oslo"}, "uau"),
    ],
)  # fmt: skip
def test_conversations_keep_their_turns(row, roles):
    prompt, *answers = exchange(row)
    assert ("".join(role[0] for role, _ in prompt), *answers) == (roles, "Como", "Oslo")
    assert prompt[-1][1] == ("Another?" if "a" in roles else "Name a lake.")


CONTENT = st.text(min_size=1, max_size=8)
PROMPTS = st.tuples(st.booleans(), st.lists(CONTENT, min_size=1, max_size=7).filter(lambda made: len(made) % 2)).map(
    lambda made: [SYSTEM] * made[0] + [turn(("user", "assistant")[n % 2], text)
                                       for n, text in enumerate(made[1])]
)  # fmt: skip


@given(PROMPTS, CONTENT, CONTENT)
def test_explicit_and_implicit_prompts_are_the_same(prompt, chosen, rejected):
    sides = [[turn("assistant", text)] for text in (chosen, rejected)]
    explicit = exchange({"prompt": prompt, "chosen": sides[0], "rejected": sides[1]})
    implicit = exchange({"chosen": prompt + sides[0], "rejected": prompt + sides[1]})
    assert explicit == implicit == (tuple((m["role"], m["content"]) for m in prompt), chosen, rejected)


def test_helpsteer_prompts_are_split_at_their_markers():
    chat = "Hi\nthere\n<extra_id_1>Assistant\nHello\n\n1. x\n<extra_id_1>User\nAnd now?"
    turns = (("user", "Hi\nthere"), ("assistant", "Hello\n\n1. x"), ("user", "And now?"))
    assert marked_turns(chat) == marked_turns(f"{chat}\n<extra_id_1>Assistant\n") == turns
    for wrong in ("Hi\n<extra_id_1>Robot\nHello", "Hi\n<extra_id_1>Assistant\nHello"):
        with pytest.raises(ValueError, match=r"prompt has <extra_id_1> without|prompt must end with a turn"):
            marked_turns(wrong)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            {"prompt": [ASK, SYSTEM], "chosen": [GOOD], "rejected": [BAD]},
            "system message at position 2, but it may only",
        ),
        ({"prompt": [turn("tool", "x"), ASK], "chosen": [GOOD], "rejected": [BAD]}, "a message of role 'tool', exp"),
        ({"prompt": [], "chosen": [GOOD], "rejected": [BAD]}, "there is no column prompt, and chosen and rejected"),
        ({"prompt": [SYSTEM], "chosen": [GOOD], "rejected": [BAD]}, "prompt must end with a turn of the user"),
        (
            {"prompt": [ASK], "chosen": [GOOD, ASK], "rejected": [BAD]},
            "chosen has 2 turns after the prompt, expected",
        ),
        ({"chosen": [*MORE, GOOD], "rejected": [ASK, BAD, *MORE[2:], BAD]}, "may differ in the last turn only"),
        ({"prompt": "Name a river.", "chosen": [ASK, GOOD], "rejected": [ASK, BAD]}, "prompt is not part of the turns"),
        ({"prompt": [GOOD], "chosen": [GOOD], "rejected": [BAD]}, "must end with a turn of the user, found role 'ass"),
        ({"chosen": [ASK, ASK], "rejected": [ASK, BAD]}, "chosen must be a turn of the assistant, found role 'user'"),
        ({"chosen": [GOOD], "rejected": [BAD]}, "no common first turn"),
        ({"chosen": "Como", "rejected": "Oslo"}, "no column prompt, and chosen is a text that does not begin"),
        ({"prompt": "p", "chosen": "Como", "rejected": [BAD]}, "both be texts or both be lists"),
        ({"prompt": "p", "chosen": [], "rejected": [BAD]}, "chosen has 0 turns"),
        (
            {"prompt": "p", "chosen": [turn("assistant", [{"type": "image"}])], "rejected": [BAD]},
            "type 'image' in",
        ),
        ({"prompt": "p", "chosen": [turn("assistant", 5)], "rejected": [BAD]}, "neither a text nor a list of parts"),
        ({"prompt": "p", "chosen": [{"from": "gpt", "value": "x"}], "rejected": [BAD]}, "chosen is not a list of"),
        ({"prompt": "p", "chosen": None, "rejected": None}, "chosen is not a list of"),
    ],
)
def test_unusable_rows_are_rejected_with_a_reason(row, reason):
    with pytest.raises(ValueError, match=reason):
        exchange(row)
