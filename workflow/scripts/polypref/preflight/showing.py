"""Show the first request of every batch as the model receives it, before the batch is run.

A request is read from its file if that exists. Otherwise (for example, if its prompt must be translated first), the
same functions create it from placeholders such as ``<prompt in German>``, to show the wording, the roles and their
order.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from polypref.files.schemas import REQUESTS
from polypref.files.tables import read_table
from polypref.plan.plan import SECOND, Plan
from polypref.preflight.templates import Load, local_tokenizer
from polypref.requests.asking import RequestSettings
from polypref.requests.generate import ask_responses
from polypref.requests.judge import ask_verdicts
from polypref.requests.translate import ask_translations
from polypref.sources.templates import template_of
from polypref.sources.tokens import TokenizerError

Row = dict[str, Any]
Render = Callable[[Row], str | None]


def stand_in(plan: Plan, task: str, stem: str, template: str) -> Row:
    """Create the first request of a file that does not exist yet, with placeholders for texts."""
    config, parts = plan.config, stem.split("/")
    code = parts[-1]
    name = plan.languages[code].name
    if task == "translate":
        model, field = parts[2], parts[1]
        settings = RequestSettings(**plan.request_settings_of_model(model, code, translate=True))
        item = {"item_id": "example", field: f"<{field} in English>"}
        prompt = config.models[model].prompt or "text"
        return ask_translations([item], field, settings, prompt, "none", code, name)[0]
    if task == "generate":
        settings = RequestSettings(**plan.request_settings_of_model(parts[1], code))
        return ask_responses([{"item_id": "example", "prompt": f"<prompt in {name}>"}], settings, code)[0]
    if task == "answer":
        settings = RequestSettings(**plan.request_settings_of_policy(parts[0]))
        return ask_responses([{"item_id": "example", "prompt": f"<evaluation prompt in {name}>"}], settings, code)[0]
    opponent = sorted(set(config.evaluation.opponents))[0]
    prompt = {"item_id": "example", "prompt_id": "example", "language": code, "prompt": f"<prompt in {name}>"}
    policy = parts[-2]
    answers = {
        who: [{"item_id": "example", "text": f"<answer of {who} in {name}>", "error": None}]
        for who in (policy, opponent)
    }
    settings = RequestSettings(**plan.request_settings_of_judge(second=stem.startswith(SECOND)))
    opponents = {opponent: answers[opponent]}
    return ask_verdicts([prompt], (policy, answers[policy]), opponents, settings, template, name)[0]


def uses(plan: Plan) -> list[tuple[str, str, list[str]]]:
    """List the batches as (task, name, stems), with one entry per model and corpus that share a batch."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for (task, name), stems in plan.batches().items():
        for stem in stems:
            parts = stem.split("/")
            use = "/".join((parts[0], parts[2])) if task == "translate" else parts[1] if task == "generate" else ""
            found.setdefault((task, name, use), []).append(stem)
    return [(task, name, stems) for (task, name, _), stems in found.items()]


def first_request(plan: Plan, task: str, stems: list[str], results: Path, template: str) -> tuple[Row, str, bool]:
    """Return the first request of a batch, the stem of its file, and whether it exists."""
    for stem in stems:
        path = results / "requests" / task / f"{stem}.parquet"
        rows = read_table(path, REQUESTS).slice(0, 50).to_pylist() if path.is_file() else []
        found = next((row for row in rows if row["request_id"]), None)
        if found:
            return found, stem, True
    return stand_in(plan, task, stems[0], template), stems[0], False


def _weights(plan: Plan, task: str, name: str, row: Row, exists: bool) -> str:
    """Describe the weights of a batch in words, because a policy that is not trained yet has no path."""
    if task == "answer" and name in plan.trained and not exists:
        return f"{row['checkpoint']} trained on data set {plan.trained[name][0]}"
    if plan.config.checkpoints[plan.batch_checkpoint(task, name)].engine == "openai":
        return row["checkpoint"]
    return f"{row['checkpoint']} at {row['revision'] or 'main'}"


def show(plan: Plan, results: Path, template: str, render: Render) -> str:
    """Format the first request of every batch as text.

    ``render`` returns a request as rendered with the chat template, or None if no tokenizer is available.
    """
    lines = []
    for task, name, stems in uses(plan):
        row, stem, exists = first_request(plan, task, stems, results, template)
        checkpoint = plan.config.checkpoints[plan.batch_checkpoint(task, name)]
        known = _weights(plan, task, name, row, exists)
        state = "first of" if exists else "not written yet; with placeholders, the first of"
        files = f"{len(stems)} file{'s' * (len(stems) > 1)}"
        lines += [f"=== {task}/{name}: {checkpoint.engine} {known}", f"    {state} {files}: {stem}"]
        lines.append(f"    decoding: {json.dumps(json.loads(row['decoding']), ensure_ascii=False)}")
        for message in row["messages"]:
            lines += [f"--- {message['role']}", message["content"]]
        if checkpoint.engine == "openai":
            lines.append("--- (the API applies the chat format)")
        else:
            text = render({**row, "engine": checkpoint.engine, "chat_template": checkpoint.chat_template})
            if text is None:
                lines.append("--- (not rendered: the tokenizer is not on this machine; `snakemake fetch` downloads it)")
            else:
                lines += ["--- rendered with the chat template", text]
        lines.append("")
    return "\n".join(lines)


def local_renderer(load: Load = local_tokenizer) -> Render:
    """Render with the checkpoint's tokenizer if that is in a folder or the Hub's cache; nothing is downloaded."""
    tokenizers: dict[tuple[str, str | None], Any] = {}

    def render(row: Row) -> str | None:
        key = (row["checkpoint"], row["revision"])
        if key not in tokenizers:
            tokenizers[key] = load(*key)
        tokenizer = tokenizers[key]
        if tokenizer is None:
            return None
        if row["engine"] == "seq2seq":
            decoding = json.loads(row["decoding"])
            tokenizer.src_lang = decoding["source_code"]
            ids = tokenizer(row["messages"][-1]["content"], split_special_tokens=True)["input_ids"]
            return f"{' '.join(tokenizer.convert_ids_to_tokens(ids))}\n=> {decoding['target_code']}"
        try:
            template = template_of(tokenizer, row["chat_template"], row["checkpoint"])
        except TokenizerError as error:
            return f"(can't be rendered: {error})"
        return tokenizer.apply_chat_template(
            row["messages"], chat_template=template, tokenize=False, add_generation_prompt=True
        )

    return render
