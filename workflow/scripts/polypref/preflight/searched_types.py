"""Check that transformers, which runs beam search, knows the types of the decoders that are used with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from polypref.config.searches import has_more_than_keys, searched_decoders
from polypref.plan.needs import used_checkpoints
from polypref.plan.plan import Plan
from polypref.preflight.findings import Finding
from polypref.preflight.gpu_memory import Content
from polypref.preflight.gpus import read_config


def check_searched_types(
    plan: Plan, read: Callable[[str, str | None], Content | None] = read_config
) -> Iterator[Finding]:
    """Check each decoder whose ``config.json`` is on this machine; yield only problems."""
    absent, used = [], used_checkpoints(plan)
    for name, user in searched_decoders(plan.config).items():
        if name not in used:
            continue
        content = read(used[name].path, used[name].revision)
        if content is None:
            absent.append(name)
            continue
        kind = content.get("model_type")
        known = _is_known(kind) or (used[name].trust_remote_code and "auto_map" in content)
        if not known or has_more_than_keys(content):
            why = "has more in its cache than keys and values" if known else "is not a decoder that transformers knows"
            yield Finding(
                "error",
                f"checkpoint {name}: {user} uses beam search (decoding.beam_size), but {kind!r} {why}: leave beam_size "
                "out, or use another model",
            )
    if absent:
        yield Finding("unchecked", f"beam search: no config.json is available yet for {', '.join(absent)}")


def _is_known(kind: str | None) -> bool:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES  # takes seconds to import

    return kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
