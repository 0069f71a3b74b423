"""Reasoning in texts is stripped, kept or rejected."""

import pytest

from polypref.requests.engines import Completion
from polypref.requests.reasoning import apply_reasoning

THOUGHT = "<think>\nWell.\n</think>\n\nIt is 2."


@pytest.mark.parametrize(
    ("text", "reason", "mode", "expected"),
    [
        (THOUGHT, "stop", None, THOUGHT),
        (THOUGHT, "stop", "keep", THOUGHT),
        (THOUGHT, "stop", "strip", "It is 2."),
        (THOUGHT, "length", "strip", "It is 2."),
        ("Well.\n</think>\n\nIt is 2.", "stop", "strip", "It is 2."),
        ("[THINK]Well.[/THINK]It is 2.", "stop", "strip", "It is 2."),
        (
            "<thinking>a</thinking> The tag <think> opens a thought.",
            "stop",
            "strip",
            "The tag <think> opens a thought.",
        ),
        ("<think>\n\n</think>\n\n", "stop", "strip", ""),
        ("It is 2.", "stop", "strip", "It is 2."),
        ("It is 2.", "length", "keep", "It is 2."),
        ("It is 2.", "length", "off", "It is 2."),
    ],
)
def test_text(text, reason, mode, expected):
    completion = apply_reasoning(Completion("r", text, reason, 3, 4), mode)
    assert (completion.text, completion.finish_reason, completion.error) == (expected, reason, None)
    assert (completion.prompt_tokens, completion.completion_tokens) == (3, 4)


@pytest.mark.parametrize(
    ("text", "reason", "mode", "expected"),
    [
        ("<think>\nWell", "length", "strip", "raise max_tokens"),
        ("<think>\nWell", "length", "keep", "raise max_tokens"),
        ("Well, 1 and 1", "length", "strip", "raise max_tokens"),
        ("<think>\nWell", "stop", "strip", "does not end"),
        (THOUGHT, "stop", "off", "reasoning: off"),
    ],
)
def test_error(text, reason, mode, expected):
    completion = apply_reasoning(Completion("r", text, reason, 3, 4, cost_usd=0.5), mode)
    assert completion.finish_reason == "error" and completion.text == "" and expected in completion.error
    assert (completion.completion_tokens, completion.cost_usd) == (4, 0.5)


def test_an_error_is_not_changed():
    failed = Completion("r", error="refused")
    assert apply_reasoning(failed, "strip") is failed
