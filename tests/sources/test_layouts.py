"""TRL's preference formats are converted to one exchange; other rows are rejected with a reason."""

import pytest

from polypref.sources.layouts import exchange


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
    prompt, *answers = exchange(row)
    assert (prompt.strip(), *answers) == EXPECTED


def test_equal_answers_stay_answers():
    assert exchange({"chosen": [ASK, GOOD], "rejected": [ASK, GOOD]}) == ("Name a lake.", "Como", "Como")


SYSTEM = turn("system", "Be brief.")
MORE = [ASK, GOOD, turn("user", "Another?")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": [SYSTEM, ASK], "chosen": [GOOD], "rejected": [BAD]}, "prompt has a system message"),
        ({"prompt": "Name a lake.", "chosen": [SYSTEM, ASK, GOOD], "rejected": [SYSTEM, ASK, BAD]}, "a system message"),
        ({"chosen": [*MORE, GOOD], "rejected": [*MORE, BAD]}, "prompt has 3 turns, expected one"),
        ({"prompt": [ASK], "chosen": [GOOD, ASK], "rejected": [BAD]}, "chosen has 2 turns, expected one"),
        ({"prompt": "Name a river.", "chosen": [ASK, GOOD], "rejected": [ASK, BAD]}, "prompt is not the turn that"),
        ({"prompt": [GOOD], "chosen": [GOOD], "rejected": [BAD]}, "prompt must be a turn of the user, found role 'ass"),
        ({"chosen": [ASK, ASK], "rejected": [ASK, BAD]}, "chosen must be a turn of the assistant, found role 'user'"),
        ({"chosen": [GOOD], "rejected": [BAD]}, "no column prompt .* no turn that is the same"),
        ({"chosen": "Como", "rejected": "Oslo"}, "no column prompt, and chosen is a text that does not begin"),
        ({"prompt": "p", "chosen": "Como", "rejected": [BAD]}, "both be texts or both be lists"),
        ({"prompt": "p", "chosen": [], "rejected": [BAD]}, "chosen has 0 turns"),
        (
            {"prompt": "p", "chosen": [turn("assistant", [{"type": "image"}])], "rejected": [BAD]},
            "type 'image' in",
        ),
        ({"prompt": "p", "chosen": [turn("assistant", 5)], "rejected": [BAD]}, "neither a text nor a list of parts"),
        ({"prompt": "p", "chosen": [{"from": "gpt", "value": "x"}], "rejected": [BAD]}, "chosen is no list of"),
        ({"prompt": "p", "chosen": None, "rejected": None}, "chosen is no list of"),
    ],
)
def test_unusable_rows_are_rejected_with_a_reason(row, reason):
    with pytest.raises(ValueError, match=reason):
        exchange(row)
