"""A prompt of several messages is one text: it can be read back, and no other text is mistaken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polypref.files.conversations import is_conversation, to_messages, to_text, to_transcript

CONTENT = st.text(st.characters(exclude_characters="\x01\x02"))
TURNS = st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), CONTENT), min_size=1, max_size=6)


@given(TURNS)
def test_the_text_of_a_prompt_can_be_read_back(turns):
    assert to_messages(to_text(turns)) == [{"role": role, "content": content} for role, content in turns]


@given(CONTENT)
def test_a_single_turn_of_the_user_is_its_text(content):
    assert to_text([("user", content)]) == content and not is_conversation(content)


@given(TURNS, st.text("\x01\x02ab", max_size=5))
def test_no_content_can_begin_another_message(turns, content):
    turns[0] = (turns[0][0], content)
    assert [message["role"] for message in to_messages(to_text(turns))] == [role for role, _ in turns]


@pytest.mark.parametrize("content", ["Hi", "System: x\n\nUser: y", '[{"role": "user", "content": "x"}]', ""])
def test_texts_that_look_like_a_conversation_are_one_turn(content):
    assert to_messages(content) == [{"role": "user", "content": content}] and to_transcript(content) == content


def test_a_transcript_names_the_roles():
    text = to_text([("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Bye\nnow")])
    assert to_transcript(text) == "System: Be brief.\n\nUser: Hi\n\nAssistant: Hello\n\nUser: Bye\nnow"
