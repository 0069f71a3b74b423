"""Parsers of a judge's reply."""

from typing import get_args

import pytest

from polypref.config.judging import Parser
from polypref.requests.judge import parse_verdict
from polypref.requests.verdict_parsers import PARSERS


def test_configuration_names_every_parser():
    assert set(get_args(Parser)) == set(PARSERS)


@pytest.mark.parametrize(
    ("parser", "reply", "label"),
    [
        ("label", " **B**.", "B"),
        ("label", "tie", "TIE"),
        ("label", "Answer: B", ""),
        ("label", "[[C]]", ""),
        ("brackets", "Both are good, but the second is correct. Answer: [[B]]", "B"),
        ("brackets", "[[ tie ]]", "TIE"),
        ("brackets", "[[C]]", "TIE"),
        ("brackets", "not [[A]] but [[B]]", ""),
        ("brackets", "[A]", ""),
        ("json", '{"winner": "A"}', "A"),
        ("json", 'Sure:\n```json\n{"reason": "short", "winner": "tie"}\n```', "TIE"),
        ("json", '{"winner": "A"} {"winner": "B"}', ""),
        ("json", '{"winner": "A"', ""),
        ("json", '{"best": "A"}', ""),
        ("answer_line", "A is longer.\nAnswer: B", "B"),
        ("answer_line", "**Verdict: [[A]]**", "A"),
        ("answer_line", "Answer: A or B", ""),
        ("answer_line", "The answer is B", ""),
    ],
)
def test_label_of_a_reply(parser, reply, label):
    assert PARSERS[parser](reply) == label


def test_the_winner_depends_on_label_and_order():
    assert parse_verdict('{"winner": "A"}', "policy_first", "json") == "policy"
    assert parse_verdict("[[A]]", "opponent_first", "brackets") == "opponent"
    assert parse_verdict("[[C]]", "opponent_first", "brackets") == "tie"
    assert parse_verdict("A", "policy_first") == "policy" and parse_verdict("no", "policy_first") == ""


@pytest.mark.parametrize(
    ("reply", "parser", "verdict"),
    [
        ("<think>\nA is longer, B is right.\n</think>\n\nB", "label", "opponent"),
        ("The first one is [[A]]-worthy, but wrong.</think>[[B]]", "brackets", "opponent"),
        ('<think>{"winner": "A"}?</think> {"winner": "tie"}', "json", "tie"),
        ("[THINK]Answer: B[/THINK]\nAnswer: A", "answer_line", "policy"),
        ("<think>Both are good. [[A]]", "brackets", ""),
        ("<think>A</think>", "label", ""),
    ],
)
def test_the_label_follows_the_reasoning(reply, parser, verdict):
    """Regression: replies with reasoning before the label were unparsed, or the reasoning was parsed as the label."""
    assert parse_verdict(reply, "policy_first", parser) == verdict
