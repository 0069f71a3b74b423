"""Check the chat templates of checkpoints whose tokenizers are on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from polypref.config.data import find_file
from polypref.plan.plan import Plan
from polypref.preflight.findings import Finding
from polypref.sources.templates import (
    EQUAL,
    UNTRAINABLE,
    fault_of,
    is_trainable,
    render_pair,
    takes_system,
    use_template,
)
from polypref.sources.tokens import TokenizerError

Load = Callable[[str, str | None], Any]
"""Returns the tokenizer of a checkpoint, or None if it is not on this machine."""


def local_tokenizer(path: str, revision: str | None) -> Any:
    """Load a tokenizer from a folder or the Hub's cache, without downloads; None if it is in neither."""
    from transformers import AutoTokenizer  # takes seconds to import

    folder = find_file(path)
    place, commit = (str(folder), None) if folder.is_dir() else (path, revision)
    try:
        return AutoTokenizer.from_pretrained(place, revision=commit, local_files_only=True)
    except (OSError, ValueError, KeyError):
        return None


def check_templates(plan: Plan, load: Load = local_tokenizer) -> Iterator[Finding]:
    """Check that the template of each vLLM checkpoint has no date, and that of the trained model suits training."""
    base = plan.config.training.base
    names = sorted({base, *(plan.batch_checkpoint(task, name) for task, name in plan.batches())})
    chatting = _with_conversations(plan)
    rendered, absent = [], []
    for name in names:
        checkpoint = plan.config.checkpoints[name]
        if checkpoint.engine != "vllm" and name != base:
            continue
        tokenizer = load(checkpoint.path, checkpoint.revision)
        if tokenizer is None:
            absent.append(name)
            continue
        try:
            use_template(tokenizer, checkpoint.chat_template, f"checkpoint {name}")
            yield from _check_trainee(name, tokenizer) if name == base else ()
            if name in chatting:
                yield from _check_conversations(name, tokenizer, checkpoint.system_role if name != base else None)
        except TokenizerError as error:
            yield Finding("error", str(error))
        except Exception as error:  # a template may raise any error
            yield Finding("error", f"checkpoint {name}: its chat template fails: {' '.join(str(error).split())[:200]}")
        else:
            rendered.append(name)
    if rendered:
        yield Finding("ok", f"chat templates render: {', '.join(rendered)}")
    if absent:
        yield Finding("unchecked", f"chat templates: no tokenizer is available yet for {', '.join(absent)}")


def _with_conversations(plan: Plan) -> set[str]:
    """Return the checkpoints that get prompts as messages, if these may be conversations."""
    config, batches, found = plan.config, plan.batches(), set()
    if config.native or any(source.has_conversations for source in config.sources.values()):
        found |= {config.training.base, *(name for task, name in batches if task == "generate")}
    if config.evaluation.has_conversations:
        found |= {plan.batch_checkpoint(task, name) for task, name in batches if task == "answer"}
    return found


def _check_conversations(name: str, tokenizer: Any, system_role: str | None) -> Iterator[Finding]:
    """Report what a template does with a system message, and whether it renders several turns."""
    asked, answer = {"role": "user", "content": "Name a river."}, {"role": "assistant", "content": "The Rhine."}
    if system_role is None and not takes_system(tokenizer):
        yield Finding(
            "ok",
            f"checkpoint {name}: its chat template has no system role; the system message of a prompt is put before "
            "the first turn of the user",
        )
    try:
        whole = render_pair(
            tokenizer, [asked, answer, asked, answer], [asked, answer, asked, {**answer, "content": "?"}]
        )
        fault = "" if is_trainable(whole) and whole.prompt.count(asked["content"]) == 2 else "turns are missing"
    except Exception as error:  # a template may raise any error
        fault = " ".join(str(error).split())[:200]
    if fault:
        yield Finding(
            "warning",
            f"checkpoint {name}: its chat template does not render prompts of several turns ({fault}); such prompts "
            "of the sources are dropped, and those of the evaluation set are not answered",
        )


def _check_trainee(name: str, tokenizer: Any) -> Iterator[Finding]:
    turn = {"role": "user", "content": "Name a river."}

    def rendered(first: str, second: str) -> Any:
        return render_pair(tokenizer, *([turn, {"role": "assistant", "content": text}] for text in (first, second)))

    if not tokenizer.eos_token:
        raise TokenizerError(f"checkpoint {name}: its tokenizer has no end-of-text token; DPO needs one")
    if not is_trainable(rendered("The Rhine.", "Paris.")):
        raise TokenizerError(f"checkpoint {name}: {UNTRAINABLE}")
    thinking = rendered("<think>\nA long one.\n</think>\n\nThe Rhine.", "<think>\nAny.\n</think>\n\nThe Rhine.")
    if is_trainable(thinking) and fault_of(thinking, tokenizer.eos_token) == EQUAL:
        yield Finding(
            "warning",
            f"checkpoint {name}: its chat template removes <think>…</think> from answers; pairs that differ only "
            "in this are dropped",
        )
