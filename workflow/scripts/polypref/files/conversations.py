"""Prompts that are conversations, as text: how one column holds both a single user turn and several messages.

A prompt that is one user turn is its text. Any other prompt (a system message, several turns) is the concatenation of
its messages, each of them U+0001, the role, U+0002 and the content. Sources are cleaned of these two characters and
completions are stripped of them, so a text is a conversation if and only if it begins with U+0001.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

Turn = tuple[str, str]
"""Role (system, user or assistant) and content."""
Messages = list[dict[str, str]]
"""Chat messages, as in the schema MESSAGES."""

_START, _END = "\x01", "\x02"
_MARKS = re.compile(f"[{_START}{_END}]")
_SHOWN = {"system": "System", "user": "User", "assistant": "Assistant"}


def heading(role: str) -> str:
    """Return the heading that precedes the content of a message in the text of a conversation."""
    return f"{_START}{role}{_END}"


def has_heading(text: str) -> bool:
    """Whether a text contains the heading of a message."""
    return _START in text


def without_heading(text: str) -> str:
    """Return the content of a message with its heading, and any other text as it is."""
    return text.partition(_END)[2] if text.startswith(_START) else text


def is_conversation(text: str) -> bool:
    """Whether the text of a prompt is a conversation rather than a single user turn."""
    return text.startswith(_START)


def without_marks(text: str) -> str:
    """Remove the two characters that delimit messages."""
    return _MARKS.sub("", text)


def to_text(turns: Sequence[Turn]) -> str:
    """Convert the turns of a prompt to its text."""
    if [role for role, _ in turns] == ["user"]:
        return without_marks(turns[0][1])
    return "".join(heading(role) + without_marks(content) for role, content in turns)


def to_messages(text: str) -> Messages:
    """Convert the text of a prompt to its messages."""
    if not is_conversation(text):
        return [{"role": "user", "content": text}]
    split = (message.partition(_END) for message in text.split(_START)[1:])
    return [{"role": role, "content": content} for role, _, content in split]


def to_transcript(text: str) -> str:
    """Return the text of a prompt for people: a single user turn as it is, several messages with their roles."""
    if not is_conversation(text):
        return text
    return "\n\n".join(f"{_SHOWN.get(m['role'], m['role'])}: {m['content']}" for m in to_messages(text))


def without_system(messages: Iterable[dict[str, str]]) -> str:
    """Join the contents of a prompt's messages without its system message, which many prompts may share."""
    return contents(message for message in messages if message["role"] != "system")


def contents(messages: Iterable[dict[str, str]]) -> str:
    """Join the contents of messages, without their roles."""
    return "\n\n".join(message["content"] for message in messages)
