"""Convert the preference formats of TRL to a prompt and two answers.

A row contains texts or messages. Its prompt is a column, or the turns that both sides begin with, or both (as in
UltraFeedback). It may have a system message and several turns; the answers are the last turn of each side. Two turns
are equal if their role and content are equal; other keys are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from polypref.files.conversations import Turn

Row = dict[str, Any]

TURN = "<extra_id_1>"
"""Marker before each turn after the first in HelpSteer2's prompts."""
_TURN = re.compile(rf"\n?{TURN}(User|Assistant)\n?")
_TRANSCRIPT = re.compile(r"(?:^|\n\n)(Human|Assistant):[^\S\n]?")
"""Start of a turn in a transcript, as in Anthropic's hh-rlhf."""
_ROLES = {"Human": "user", "Assistant": "assistant"}


def exchange(row: Row) -> tuple[tuple[Turn, ...], str, str]:
    """Return the turns of the prompt, and the texts of chosen and rejected.

    Raises
    ------
    ValueError
        The row is not a prompt with two answers; the message is the reason.
    """
    prompt, chosen, rejected = row.get("prompt"), row["chosen"], row["rejected"]
    if isinstance(chosen, str) != isinstance(rejected, str):
        raise ValueError("chosen and rejected must both be texts or both be lists of messages")
    if isinstance(chosen, str) and isinstance(prompt, str):
        return (("user", prompt),), chosen, rejected
    if isinstance(chosen, str) and prompt is None:
        sides = _transcript("chosen", chosen), _transcript("rejected", rejected)
    else:
        sides = _turns("chosen", chosen), _turns("rejected", rejected)
    asked, (one, two) = _prompt(prompt, *sides)
    require_prompt(asked)
    return tuple(asked), _answer("chosen", one), _answer("rejected", two)


def prompt_turns(value: Any) -> tuple[Turn, ...]:
    """Return the turns of a prompt that is a text or a list of messages.

    Raises
    ------
    ValueError
        It is no prompt; the message is the reason.
    """
    if not isinstance(value, str | list | dict):
        raise ValueError("prompt must be a text or a list of messages")
    turns = _turns("prompt", value, "user")
    require_prompt(turns)
    return tuple(turns)


def require_prompt(turns: Sequence[Turn]) -> None:
    """Check that turns are a prompt: at most one system message at the start, then turns up to one of the user.

    Raises
    ------
    ValueError
        The message is the reason.
    """
    if not turns:
        raise ValueError("prompt has no message")
    for number, (role, _) in enumerate(turns):
        if role not in ("system", "user", "assistant"):
            raise ValueError(f"prompt has a message of role {role!r}, expected system, user or assistant")
        if role == "system" and number:
            raise ValueError(
                f"prompt has a system message at position {number + 1}, but it may only be the first message"
            )
    if turns[-1][0] != "user":
        raise ValueError(f"prompt must end with a turn of the user, found role {turns[-1][0]!r}")


def marked_turns(prompt: str) -> tuple[Turn, ...]:
    """Split a prompt of HelpSteer2 at `TURN` and the role after it; an empty turn at the end is left out.

    Raises
    ------
    ValueError
        A marker has no role, or the turns are no prompt.
    """
    first, *rest = _TURN.split(prompt)
    turns = [("user", first), *((role.lower(), text) for role, text in zip(rest[::2], rest[1::2], strict=True))]
    if turns[-1] == ("assistant", ""):
        turns.pop()
    if any(TURN in text for _, text in turns):
        raise ValueError(f"prompt has {TURN} without 'User' or 'Assistant' after it")
    require_prompt(turns)
    return tuple(turns)


def is_conversation(value: Any) -> bool:
    """Whether a value is a list of messages with role and content."""
    named = {"role", "content"}
    return isinstance(value, list) and all(isinstance(turn, dict) and named <= turn.keys() for turn in value)


def _prompt(prompt: Any, chosen: list[Turn], rejected: list[Turn]) -> tuple[list[Turn], tuple[list[Turn], list[Turn]]]:
    """Split off the prompt; return its turns, and the remaining turns of both sides."""
    if prompt is not None and not isinstance(prompt, str | list | dict):
        raise ValueError("prompt must be a text or a list of messages")
    given = [] if prompt is None else _turns("prompt", prompt, "user")
    whole = given and all(side[0][0] != "assistant" and len(side) > 1 for side in (chosen, rejected) if side)
    if given and not (whole and chosen and rejected):
        return given, (chosen, rejected)
    most = min(len(chosen), len(rejected)) - 1  # the last turn is always the answer, even if it is the same in both
    same = next((n for n in range(max(most, 0)) if chosen[n] != rejected[n]), max(most, 0))
    shared = chosen[:same]
    if not shared:
        raise ValueError(
            "there is no column prompt, and chosen and rejected have no common first turn"
            if not given
            else "chosen and rejected are whole conversations that begin with different turns"
        )
    if given and not _contains(shared, given):
        raise ValueError("prompt is not part of the turns that chosen and rejected have in common")
    return shared, (chosen[same:], rejected[same:])


def _contains(turns: list[Turn], given: list[Turn]) -> bool:
    """Whether the contents of ``given`` are consecutive turns of ``turns``, for example the first or the last ones."""
    everything, wanted = ([content.strip() for _, content in side] for side in (turns, given))
    return any(everything[start : start + len(wanted)] == wanted for start in range(len(turns) - len(given) + 1))


def _turns(name: str, value: Any, role: str = "assistant") -> list[Turn]:
    """Convert a value to turns; a text becomes one turn with the given role."""
    if isinstance(value, str):
        return [(role, value)]
    if isinstance(value, dict):
        value = [value]
    if not is_conversation(value):
        raise ValueError(f"{name} is not a list of {{role, content}}")
    return [(str(turn["role"]), _content(name, turn["content"])) for turn in value]


def _content(name: str, content: Any) -> str:
    """Return the text of a message; its content may be a list of parts."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, list):
        raise ValueError(f"{name} has content that is neither a text nor a list of parts")
    texts = []
    for part in content:
        text = part.get("text") if isinstance(part, dict) else part
        if not isinstance(text, str):
            kind = part.get("type") if isinstance(part, dict) else type(part).__name__
            raise ValueError(f"{name} has a part of type {kind!r} in its content, expected text")
        texts.append(text)
    return "".join(texts)


def _transcript(name: str, text: str) -> list[Turn]:
    """Split a transcript into turns at ``Human:`` and ``Assistant:``."""
    parts = _TRANSCRIPT.split(text)
    if len(parts) < 3 or parts[0].strip():
        raise ValueError(
            f"there is no column prompt, and {name} is a text that does not begin with 'Human:' (a transcript whose "
            "turns begin with 'Human:' and 'Assistant:')"
        )
    return [(_ROLES[role], content.strip()) for role, content in zip(parts[1::2], parts[2::2], strict=True)]


def _answer(name: str, turns: list[Turn]) -> str:
    if len(turns) != 1:
        after = "; chosen and rejected may differ in the last turn only" if len(turns) > 1 else ""
        raise ValueError(f"{name} has {len(turns)} turns after the prompt, expected one{after}")
    role, content = turns[0]
    if role != "assistant":
        raise ValueError(f"{name} must be a turn of the assistant, found role {role!r}")
    return content
