"""External requirements of a plan: repositories on the Hub, API keys, GPUs and disk space."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from polypref.config.data import is_local_data
from polypref.config.sections import Checkpoint
from polypref.plan.plan import Plan
from polypref.sources.benchmarks import aya_configs, wmt_config

BYTES = {"float32": 4, "auto": 2, "bfloat16": 2, "float16": 2}
CONVERTER = 1e9
"""Bytes of main memory that a conversion for CTranslate2 needs besides the weights: see docs/benchmarks.md."""


class Repository(NamedTuple):
    """A repository on the Hub. ``parts``: the (configuration, split) pairs that are read from a data set."""

    kind: str
    path: str
    revision: str | None
    gated: bool = False
    parts: tuple[tuple[str | None, str], ...] = ()

    @property
    def page(self) -> str:
        """Web page with its licence and the access request form."""
        return f"https://huggingface.co/{'datasets/' if self.kind == 'dataset' else ''}{self.path}"


def used_checkpoints(plan: Plan) -> dict[str, Checkpoint]:
    """Return the registry entries that the configuration uses, by name."""
    names = {plan.batch_checkpoint(task, name) for task, name in plan.batches()} | {plan.config.training.base}
    return {name: plan.config.checkpoints[name] for name in sorted(names)}


def hub_checkpoints(plan: Plan) -> dict[str, Checkpoint]:
    """Return the used checkpoints whose weights come from the Hub."""
    return {n: c for n, c in used_checkpoints(plan).items() if c.engine != "openai" and not c.is_local}


def data_repositories(plan: Plan) -> list[Repository]:
    """List the data sets on the Hub, with the parts that are read."""
    config, languages = plan.config, plan.languages
    found = [
        Repository("dataset", s.path, s.revision, s.gated, ((s.subset, s.split),))
        for _, s in sorted(config.sources.items())
        if not is_local_data(s.path)
    ]
    for name, native in sorted(config.native.items()):
        used = [code for code in config.targets if plan.native_file(name, code) in plan.all_native_files()]
        filled = [native.of_language(code, languages[code].iso639_3) for code in used]
        for path in sorted({one.path for one in filled if not is_local_data(one.path)}):
            parts = tuple(dict.fromkeys((one.subset, one.split) for one in filled if one.path == path))
            found.append(Repository("dataset", path, native.revision, native.gated, parts))
    if plan.all_wmt_languages and not is_local_data(config.wmt.path):
        if config.wmt.format == "own":
            parts = _parts(config.wmt.own(config.wmt.path, code) for code in plan.all_wmt_languages)
        else:
            parts = tuple((wmt_config(languages[code]), "train") for code in plan.all_wmt_languages)
        found.append(Repository("dataset", config.wmt.path, config.wmt.revision, parts=parts))
    if not is_local_data(config.evaluation.path):
        if config.evaluation.format == "aya":
            names = sorted({name for code in config.all_languages for name in aya_configs(code)})
            parts = tuple((name, "test") for name in names)
        else:
            parts = _parts(config.evaluation.own_prompts(code) for code in config.all_languages)
        found.append(Repository("dataset", config.evaluation.path, config.evaluation.revision, parts=parts))
    return found


def _parts(own: Iterable[dict[str, Any]]) -> tuple[tuple[str | None, str], ...]:
    return tuple(dict.fromkeys((read["subset"], read["split"]) for read in own))


def repositories(plan: Plan) -> list[Repository]:
    """List all data sets and models that are read from the Hub, deduplicated."""
    models = {Repository("model", c.path, c.revision, c.gated) for c in hub_checkpoints(plan).values()}
    return [*data_repositories(plan), *sorted(models, key=lambda repository: repository.path)]


def api_keys(plan: Plan) -> dict[str, list[str]]:
    """Return the environment variables that must contain an API key, with the checkpoints that need each."""
    found: dict[str, list[str]] = {}
    for name, checkpoint in used_checkpoints(plan).items():
        if checkpoint.engine == "openai" and checkpoint.base_url is None:
            found.setdefault(checkpoint.api_key_env, []).append(name)
    return found


def gpu_batches(plan: Plan) -> dict[str, int]:
    """Return the number of GPUs of each batch that computes on GPUs; a rehearsal requests GPUs but computes on CPU."""
    runtimes = {f"{task}/{name}": plan.batch_runtime(task, name) for task, name in plan.batches()}
    return {batch: runtime.gpus for batch, runtime in runtimes.items() if runtime.gpus and runtime.device != "cpu"}


def weight_bytes(checkpoint: Checkpoint) -> float | None:
    """Return the size of a checkpoint's weights in bytes; None if the registry has no ``parameters`` for it."""
    if checkpoint.weights_gb:
        return checkpoint.weights_gb * 1e9
    return checkpoint.parameters * BYTES[checkpoint.dtype] if checkpoint.parameters else None


def conversion_bytes(plan: Plan) -> float:
    """Return the bytes of the converted (CTranslate2) copies of the checkpoints of engine seq2seq."""
    sizes = {c.path: weight_bytes(c) or 0.0 for c in used_checkpoints(plan).values() if c.engine == "seq2seq"}
    return sum(sizes.values())


def conversion_memory(plan: Plan) -> dict[str, float]:
    """Estimate the main memory in bytes that each conversion for CTranslate2 needs, by the name of the checkpoint.

    This is an upper bound: the weights as stored, assumed in 32 bits, the converted ones, and `CONVERTER` for the rest.
    """
    used = {n: c for n, c in used_checkpoints(plan).items() if c.engine == "seq2seq" and c.parameters}
    return {name: c.parameters * (BYTES["float32"] + BYTES[c.dtype]) + CONVERTER for name, c in used.items()}


def training_bytes(plan: Plan) -> float | None:
    """Estimate the peak disk usage of training in bytes: one model per policy, and two resumable checkpoints.

    A resumable checkpoint takes 16 bytes per parameter (weights, their 32-bit copy and Adam's two moments). With LoRA,
    only the adapter is trained, and the peak is a merged copy of the model.
    """
    parameters = plan.config.checkpoints[plan.config.training.base].parameters
    if not parameters:
        return None
    spare = 2 if plan.config.training.lora else 2 * 16
    return parameters * (2 * len(plan.trained) + spare)


def nothing_outside(plan: Plan) -> bool:
    """Whether all data and models are local and run on CPU, as in the miniature, so that preflight is not needed."""
    gpus = gpu_batches(plan)
    trained_on = plan.config.training.runtime.gpus if plan.config.training.runtime.launcher != "cpu" else 0
    return not repositories(plan) and not api_keys(plan) and not gpus and not trained_on
