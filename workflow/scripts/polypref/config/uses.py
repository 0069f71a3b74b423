"""Checks that checkpoints and models support their uses, because an error would otherwise appear only after hours."""

from __future__ import annotations

import re
from collections.abc import Iterator

from polypref.config.batch_size import micro_steps
from polypref.config.faults import fault, one_of
from polypref.config.registry import Decoding, Model
from polypref.config.sections import Config
from polypref.config.training import Training

JUDGED = {"prompt", "answer_a", "answer_b"}
"""Required placeholders of a judge prompt; ``language`` is optional."""


def check_roles(config: Config) -> Iterator[str]:
    """Check that the trained model, opponents and judges are checkpoints of a suitable engine."""
    judging = config.judging
    chat = {"vllm", "openai"}
    roles = [("training.base", config.training.base, {"vllm"}), ("judging.judge", judging.judge, chat)]
    roles += [("evaluation.opponents", name, chat) for name in config.evaluation.opponents]
    if judging.second:
        roles.append(("judging.second.judge", judging.second.judge, chat))
        if judging.second.judge == judging.judge:
            yield fault("judging.second.judge", judging.judge, "a checkpoint that is not judging.judge")
    for key, name, engines in roles:
        if name not in config.checkpoints:
            yield fault(key, name, f"a checkpoint: {one_of(config.checkpoints, name)}")
        elif config.checkpoints[name].engine not in engines:
            yield fault(key, name, f"a checkpoint of engine {' or '.join(sorted(engines, reverse=True))}")


def check_decodings(config: Config) -> Iterator[str]:
    """Check that the engine supports every decoding option; otherwise, it would silently decode differently."""
    for name, model in config.models.items():
        engines = {config.checkpoints[one].engine for one in checkpoints_of(model) if one in config.checkpoints}
        yield from _check_decoding(f"models.{name}.decoding", model.decoding, engines)
        if "seq2seq" in engines and model.prompt not in (None, "text"):
            yield fault(
                f"models.{name}.prompt", model.prompt, "text: an encoder-decoder would translate the whole prompt"
            )
    judging, evaluation = config.judging, config.evaluation
    yield from _check_decoding("evaluation.decoding", evaluation.decoding, {"vllm"})
    for key, judge in (("judging", judging), ("judging.second", judging.second)):
        if judge and (judge.decoding.beam_size or 1) > 1:
            yield fault(f"{key}.decoding.beam_size", judge.decoding.beam_size, "none: a judge answers with one label")


def _check_decoding(key: str, decoding: Decoding, engines: set[str]) -> Iterator[str]:
    beams = decoding.beam_size or 1
    if decoding.temperature and (beams > 1 or "seq2seq" in engines):
        yield fault(f"{key}.temperature", decoding.temperature, "0, because beam search and seq2seq do not sample")
    if beams > 1 and "openai" in engines:
        yield fault(f"{key}.beam_size", beams, "none: the chat API has no beam search")


def check_runtimes(config: Config) -> Iterator[str]:
    """Check that cost limits have a price, and that options fit their engine, GPUs and training batch."""
    for name, checkpoint in config.checkpoints.items():
        runtime = checkpoint.runtime
        if checkpoint.max_cost_usd is not None and checkpoint.price is None:
            allowed = "{input: ..., output: ...}, in USD per million tokens, which max_cost_usd requires"
            yield fault(f"checkpoints.{name}.price", None, allowed)
        for field in ("limit_field", "extra_body"):
            if checkpoint.engine != "openai" and getattr(checkpoint, field) is not None:
                yield fault(f"checkpoints.{name}.{field}", getattr(checkpoint, field), "none: it is for engine openai")
        if checkpoint.engine == "seq2seq" and checkpoint.reasoning is not None:
            yield fault(f"checkpoints.{name}.reasoning", checkpoint.reasoning, "none: a seq2seq model does not reason")
        if checkpoint.engine == "seq2seq" and checkpoint.system_role is not None:
            yield fault(
                f"checkpoints.{name}.system_role", checkpoint.system_role, "none: a seq2seq model does not chat"
            )
        if runtime.batch_api and (checkpoint.engine != "openai" or runtime.shards > 1):
            yield fault(f"checkpoints.{name}.runtime.batch_api", True, "only with engine openai and `shards: 1`")
        if runtime.gpus and runtime.tensor_parallel > runtime.gpus:
            allowed = f"at most runtime.gpus, {runtime.gpus}"
            yield fault(f"checkpoints.{name}.runtime.tensor_parallel", runtime.tensor_parallel, allowed)
    try:
        micro_steps(config.training)
    except ValueError as error:
        yield str(error)
    yield from _check_training(config.training)


def _check_training(training: Training) -> Iterator[str]:
    if training.loss == "ipo" and training.label_smoothing:
        yield fault("training.label_smoothing", training.label_smoothing, "0 with training.loss 'ipo'")
    if not all(0 <= beta < 1 for beta in training.adam_betas):
        yield fault("training.adam_betas", training.adam_betas, "two numbers from 0 to below 1")
    if training.seeds and (len(set(training.seeds)) < len(training.seeds) or min(training.seeds) < 0):
        yield fault("training.seeds", training.seeds, "different whole numbers, 0 or larger")
    if training.liger_kernel and training.runtime.launcher == "cpu":
        yield fault("training.liger_kernel", True, "false with training.runtime.launcher 'cpu'")


def check_judge_prompt(name: str, text: str) -> Iterator[str]:
    """Check that the judge's prompt has placeholders for the prompt and both answers."""
    named = set(re.findall(r"\{(\w+)\}", text))
    if not JUDGED <= named <= {*JUDGED, "language"}:
        found = ", ".join(f"{{{place}}}" for place in sorted(named)) or "no placeholder"
        allowed = "{prompt}, {answer_a} and {answer_b}, all three, and {language}"
        yield f"judging.prompt: found {found} in {name}; allowed: {allowed}"


def checkpoints_of(model: Model) -> list[str]:
    """Return the names of the checkpoints that a model uses."""
    return list(dict.fromkeys(model.checkpoint.values())) if isinstance(model.checkpoint, dict) else [model.checkpoint]
