"""Select the chat template of a checkpoint, and render conversations with it.

Sampling, requests, training and preflight use the same template: the configured one if there is one, else the
tokenizer's own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from polypref.files.visible import visible
from polypref.sources.tokens import TokenizerError, load_tokenizer

Messages = Sequence[dict[str, str]]

EQUAL = "chosen equals rejected after rendering with the chat template"
EMPTY = "an answer is empty after rendering with the chat template"


class Rendered(NamedTuple):
    """A rendered pair: the prompt with the generation prompt, and both whole conversations."""

    prompt: str
    chosen: str
    rejected: str


def require_fixed(template: Any, where: str) -> None:
    """Reject a template that inserts today's date, which would change the prompt of a request from day to day.

    Raises
    ------
    TokenizerError
    """
    texts = template.values() if isinstance(template, dict) else [template or ""]
    if any("strftime_now" in re.sub(r"\{#.*?#\}", "", str(text), flags=re.DOTALL) for text in texts):
        raise TokenizerError(
            f"{where}: its chat template writes today's date (strftime_now), so the prompt of the same "
            "request would change every day. Copy the template into the checkpoint's chat_template in the registry, "
            "with a fixed date instead of strftime_now(...)."
        )


def template_of(tokenizer: Any, chat_template: str | None, where: str) -> Any:
    """Return the configured chat template if there is one, else the tokenizer's own.

    Raises
    ------
    TokenizerError
        There is no template, or it inserts today's date.
    """
    template = chat_template or tokenizer.chat_template
    if not template:
        raise TokenizerError(
            f"{where}: its tokenizer has no chat template. Set chat_template of this checkpoint in the registry to the "
            "template that the model was trained with."
        )
    require_fixed(template, where)
    return template


def use_template(tokenizer: Any, chat_template: str | None, where: str) -> Any:
    """Set a tokenizer's template to the result of :func:`template_of`; return the tokenizer."""
    tokenizer.chat_template = template_of(tokenizer, chat_template, where)
    return tokenizer


def load_trainee(path: str, revision: str | None, chat_template: str | None) -> Any:
    """Load the tokenizer of the model to be trained, with the template that training uses."""
    return use_template(load_tokenizer(path, revision), chat_template, path)


def takes_system(tokenizer: Any) -> bool:
    """Whether a tokenizer's template writes a system message; some templates refuse it or leave it out."""
    probe = "Be polypref."
    asked = [{"role": "system", "content": probe}, {"role": "user", "content": "x"}]
    try:
        return probe in tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    except Exception:  # a template may raise any error
        return False


def merge_system(messages: Messages) -> list[dict[str, str]]:
    """Put a leading system message before the first turn of the user, with an empty line in between."""
    if messages[0]["role"] != "system":
        return list(messages)
    rest = [dict(message) for message in messages[1:]]
    first = next(message for message in rest if message["role"] == "user")
    first["content"] = f"{messages[0]['content']}\n\n{first['content']}"
    return rest


def fit_system(tokenizer: Any, messages: Messages) -> list[dict[str, str]]:
    """Return messages as a template can write them: with `merge_system` if it has no system role."""
    if messages[0]["role"] != "system" or takes_system(tokenizer):
        return list(messages)
    return merge_system(messages)


def render_pair(tokenizer: Any, chosen: Messages, rejected: Messages) -> Rendered:
    """Render two conversations with different last turns as OpenRLHF does, but without its end-of-text token.

    A system message is merged into the first turn of the user if the template has no system role.
    """
    return render_fitted(tokenizer, fit_system(tokenizer, chosen), fit_system(tokenizer, rejected))


def render_fitted(tokenizer: Any, chosen: Messages, rejected: Messages) -> Rendered:
    """Render two conversations like :func:`render_pair`, but leave a system message where it is."""
    prompt = tokenizer.apply_chat_template(list(chosen[:-1]), tokenize=False, add_generation_prompt=True)
    return Rendered(prompt, *(tokenizer.apply_chat_template(list(side), tokenize=False) for side in (chosen, rejected)))


def is_trainable(pair: Rendered) -> bool:
    """Whether both conversations begin with the prompt, because OpenRLHF splits them at its end."""
    return pair.chosen.startswith(pair.prompt) and pair.rejected.startswith(pair.prompt)


def fault_of(pair: Rendered, end: str) -> str:
    """Return `EQUAL`, `EMPTY` or an empty string for the rendered answers; ``end`` is the end-of-text token."""
    answers = []
    for side in (pair.chosen, pair.rejected):
        answer = visible(side[len(pair.prompt) :])
        answers.append(visible(answer.removesuffix(end)) if end else answer)
    return EMPTY if not all(answers) else EQUAL if answers[0] == answers[1] else ""


UNTRAINABLE = (
    "the chat template writes a conversation that does not begin with its own prompt; OpenRLHF can't train with it. "
    "Give the checkpoint another chat_template, one whose generation prompt is identical to the text before an answer"
)
