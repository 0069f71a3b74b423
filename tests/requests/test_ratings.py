"""Ratings of translations: parsers of a rater's reply, its requests, and collecting the ratings."""

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypref.config.rating import Parser
from polypref.files.conversations import to_text
from polypref.files.schemas import RATINGS, REQUESTS
from polypref.files.table_writer import to_table
from polypref.files.tables import TableError
from polypref.requests.asking import RequestSettings
from polypref.requests.rating_parsers import PARSERS
from polypref.requests.ratings import ask_ratings, collect_ratings, parse_rating, read_template

PROMPTS = Path(__file__).parents[2] / "resources/prompts"
SETTINGS = RequestSettings("rater", "owner/rater", "abc", False, {"temperature": 0.0, "max_tokens": 20})


def test_configuration_names_every_parser():
    assert set(get_args(Parser)) == set(PARSERS)


@pytest.mark.parametrize(
    ("parser", "reply", "rating"),
    [
        ("number", "85", 85),
        ("number", " 85.5\n", 85.5),
        ("number", "85,5", 85.5),
        ("number", "**Score: 85/100**", 85),
        ("number", "Score (0-100): 85", 85),
        ("number", "I would rate this translation 85 out of 100.", 85),
        ("number", "85%\n\nIt has 2 mistakes.", 85),
        ("number", "On a scale from 0 to 100, it is a 70.", 70),
        ("number", "80. The score of 80 is fair.", 80),
        ("number", "٨٥", 85),
        ("number", "0", 0),
        ("number", "100/100", 100),
        ("number", "0.50\n\nThe German", None),
        ("number", "It has 2 mistakes. Score: 85", None),
        ("number", "85-90", None),
        ("number", "-5", None),
        ("number", "101", None),
        ("number", "8500", None),
        ("number", "1,000", None),
        ("number", "8/10", None),
        ("number", "good", None),
        ("number", "", None),
        ("score_line", "It has 2 mistakes.\nScore: 85/100", 85),
        ("score_line", "Score: 20\nNo, better:\n**Rating:** 60", 60),
        ("score_line", "The score is 85", None),
        ("score_line", "Score: 85 or 90", None),
        ("score_line", "Score: 850", None),
        ("json", '{"score": 85}', 85),
        ("json", 'Sure:\n```json\n{"reason": "2 mistakes", "rating": "85"}\n```', 85),
        ("json", '{"score": 85} {"score": 90}', None),
        ("json", '{"score": true}', None),
        ("json", '{"score": 0.85}', None),
        ("json", '{"score": NaN}', None),
        ("json", '{"score": -1}', None),
        ("json", '{"score": [85]}', None),
        ("json", '{"score": 85', None),
        ("json", "85", None),
    ],
)
def test_rating_of_a_reply(parser, reply, rating):
    assert PARSERS[parser](reply) == rating


@given(st.sampled_from(sorted(PARSERS)), st.text())
def test_any_reply_has_a_rating_from_0_to_100_or_none(parser, reply):
    found = PARSERS[parser](reply)
    assert found is None or (isinstance(found, float) and 0 <= found <= 100)


@given(st.integers(0, 100), st.sampled_from(["", "/100", " / 100", " out of 100", "%"]))
def test_every_rating_is_found_in_every_form(rating, of):
    assert PARSERS["number"](f"{rating}{of}") == rating
    assert PARSERS["number"](f"Score: {rating}{of}.") == rating
    assert PARSERS["number"](f"I give it a {rating}{of}, because it is fluent.") == rating
    assert PARSERS["score_line"](f"2 words are missing.\nScore: {rating}{of}") == rating
    assert PARSERS["json"](f'{{"score": {rating}}}') == rating


@given(st.one_of(st.integers(max_value=-1), st.integers(min_value=101)))
def test_a_rating_out_of_range_counts_as_none(rating):
    replies = {"number": f"{rating}", "score_line": f"Score: {rating}", "json": f'{{"score": {rating}}}'}
    assert {parser: PARSERS[parser](reply) for parser, reply in replies.items()} == dict.fromkeys(PARSERS)


def test_the_rating_follows_the_reasoning_and_is_not_cut():
    assert parse_rating("<think>Not 20.</think>\n85", "number") == 85
    assert parse_rating("<think>It may be 85", "number") is None
    assert parse_rating("Score: 8", "number", cut=True) is None, "it may be the beginning of 85"
    assert parse_rating("85\n\nThe translation", "number", cut=True) == 85


def ask(template: str, *pairs: tuple[str, str, str | None], field: str = "chosen") -> list[dict]:
    originals = [{"item_id": f"i{n}", field: source} for n, (source, _, _) in enumerate(pairs)]
    texts = [{"item_id": f"i{n}", "text": text, "error": error} for n, (_, text, error) in enumerate(pairs)]
    return list(ask_ratings(originals, texts, field, SETTINGS, template, "de", "German", "texts.parquet"))


def test_a_request_has_the_prompt_of_gemba_with_both_texts():
    rows = ask(read_template(PROMPTS / "gemba-da.txt"), ("A dog.", "Ein Hund.", None))
    (message,) = rows[0]["messages"]
    assert message["role"] == "user" and message["content"] == (
        "Score the following translation from English to German on a continuous scale from 0 to 100, where a score of "
        'zero means "no meaning preserved" and score of one hundred means "perfect meaning and grammar".\n\n'
        'English source: "A dog."\nGerman translation: "Ein Hund."\nScore:'
    )
    assert to_table(rows, REQUESTS).num_rows == 1
    squared = ask(read_template(PROMPTS / "gemba-sqm.txt"), ("A dog.", "Ein Hund.", None))[0]["messages"][0]["content"]
    assert squared.endswith('German translation: "Ein Hund."\nScore (0-100):')


def test_equal_pairs_of_texts_are_rated_once_and_failed_translations_not_at_all():
    pairs = [("A dog.", "Ein Hund.", None), ("A dog.", "Ein Hund.", None), ("A dog.", "Hund.", None), ("A", "", "cut")]
    ids = [row["request_id"] for row in ask("{source} {translation}", *pairs)]
    assert ids[0] == ids[1] != ids[2] and ids[3] is None


def test_a_conversation_is_shown_as_a_transcript_and_turn_markers_have_no_effect():
    chat = to_text([("system", "Be brief."), ("user", "Hello <|im_end|>")])
    (row,) = ask("{source}|{translation}", (chat, "Hallo", None), field="prompt")
    source = row["messages"][0]["content"].split("|Hallo")[0]
    assert source.startswith("System: Be brief.\n\nUser: Hello <") and "<|im_end|>" not in source


def test_translations_of_other_pairs_are_an_error():
    originals = [{"item_id": "a", "chosen": "A"}]
    texts = [{"item_id": "b", "text": "B", "error": None}]
    for found in (texts, []):
        with pytest.raises(TableError, match=r"texts\.parquet: found .* in the place of a\. Delete the file"):
            list(
                ask_ratings(
                    originals, found, "chosen", SETTINGS, "{source} {translation}", "de", "German", "texts.parquet"
                )
            )


def test_ratings_are_parsed_unparsed_or_errors():
    pairs = [("A", "A1", None), ("A", "A2", None), ("A", "A3", None), ("A", "", "empty"), ("A", "A5", None)]
    rows = ask("{source} {translation}", *pairs)
    replies = [("85", "stop", None), ("hm", "stop", None), ("", "error", "timeout"), None, ("Score: 8", "length", None)]
    completions = {
        row["request_id"]: {"text": reply[0], "finish_reason": reply[1], "error": reply[2], "prompt_tokens": 9,
                            "completion_tokens": 2}
        for row, reply in zip(rows, replies, strict=True) if reply
    }  # fmt: skip
    found = to_table(collect_ratings(rows, completions, "completions", "number"), RATINGS).to_pylist()
    assert [row["rating"] for row in found] == [85, None, None, None, None]
    assert [row["status"] for row in found] == ["parsed", "unparsed", "error", "error", "unparsed"]
    assert [row["error"] for row in found] == [None, None, "timeout", "the translation is missing", None]
    assert [row["reply"] for row in found] == ["85", "hm", "", "", "Score: 8"]
