"""DPO training in content-addressed folders: a finished training is reused, and a killed one is resumed.

The folder of a training is ``R/trained/{digest}/``. It contains ``data.parquet`` (the trainer's input),
``overlong.csv``, ``held_out.parquet`` (with ``training.held_out``), ``checkpoints/`` (for resuming), ``attempts/`` (the
trainer's output), ``tensorboard/`` or ``wandb/``, then ``model/``, ``log.csv``, ``run.json`` and finally
``policy.json``, which marks the training as finished. ``settings`` is the ``training`` section of the configuration.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from polypref.config.batch_size import micro_steps, world_size
from polypref.files.tables import atomic_write
from polypref.requests.checkpoints import content_revision, local_folder, tokenizer_files
from polypref.running.slurm import job_nodes
from polypref.training import log as training_log
from polypref.training import trainer
from polypref.training.identity import held_out_pairs, outcome_settings, training_digest
from polypref.training.selection import (
    choose_rows,
    is_trained,
    name_chosen,
    steps_between_evaluations,
    write_left_out,
    write_lengths,
)
from polypref.training.tracking import FOLDER, tracking_flags
from polypref.training.trainer import TrainingError
from polypref.training.trainer_data import measure_data_set, read_pairs, select_pairs, write_pairs

HELD_OUT = "held_out.parquet"
PACKAGES = ("openrlhf", "deepspeed", "torch", "transformers", "peft")


def local_base(base: dict[str, Any]) -> Path:
    """Return the folder of the base model, downloaded from the Hub at its revision if it is not local.

    Raises
    ------
    TrainingError
        The model needs custom code, which OpenRLHF would run without confirmation.
    """
    folder = local_folder(base["path"], base["revision"])
    for name in ("config.json", "tokenizer_config.json"):
        file = folder / name
        if file.is_file() and "auto_map" in json.loads(file.read_text("utf-8")):
            raise TrainingError(
                f"{base['path']}: {name} requires custom code of the model (auto_map), which is not executed"
            )
    return folder.resolve()


def train(
    settings: Any, dataset: Path, base: dict[str, Any], results: Path, say: Callable[[str], None] = print,
    start: Callable[..., Any] = trainer.start_process,
) -> Path:  # fmt: skip
    """Train a policy, or return the finished training if it exists.

    Parameters
    ----------
    settings : object
        Fields of the configuration's ``training`` section.
    dataset : Path
        Parquet file in the schema ``DATASET``.
    base : dict
        ``path`` and ``revision`` of the base model: a folder and the digest of its content, or a name and commit on
        the Hub. ``chat_template`` is optional.
    results : Path
        The results folder.
    say : callable
        Called with each progress line.
    start : callable
        Starts the process of the trainer, like :func:`polypref.training.trainer.start_process`.

    Returns
    -------
    Path
        The folder of the finished training, with ``model/``, ``policy.json``, ``log.csv`` and ``overlong.csv``.

    Raises
    ------
    DataError
        The data can't be used: prompts differ, too few rows are left, or rows are too long with ``overlong: error``.
    TrainingError
        The trainer failed, or its settings are invalid.
    """
    name = training_digest(read_pairs(dataset), base, settings)
    folder = Path(results) / "trained" / name
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder, say) as lock:
        if is_finished(folder):
            say(f"found trained: {folder}")
            return folder
        model = local_base(base)
        fates = prepare(settings, dataset, base, model, folder, say)
        _train(settings, base, model, fates, folder, say, lock, start)
        _finish(settings, base, model, fates, folder)
    return folder


def is_finished(folder: Path) -> bool:
    """Return whether a training is finished, that is, whether its marker and its model exist."""
    model = folder / "model"
    return (folder / "policy.json").is_file() and (model / "config.json").is_file() and any(model.glob("*.safetensors"))


@contextlib.contextmanager
def _lock(folder: Path, say: Callable[[str], None]) -> Iterator[int]:
    """Lock a training; if two architectures have the same data, they share one training and the second job waits."""
    with open(folder / "lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another job that trains {folder}")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:  # some parallel file systems do not support locks
            say(f"{folder} can't be locked ({error.strerror}); no other job must train it")
        yield file.fileno()


def prepare(
    settings: Any, dataset: Path, base: dict[str, Any], model: Path, folder: Path, say: Callable[[str], None]
) -> pd.Series:
    """Select the rows, report those left out, and write the trainer's input; return the fate of every row."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.chat_template = base.get("chat_template") or tokenizer.chat_template
    lengths = folder / "lengths.parquet"
    try:
        measured = measure_data_set(dataset, tokenizer, settings.max_length)
        checked = write_lengths(measured, lengths, partial(held_out_pairs, settings=settings))
        if merged := checked.changed:
            say(f"the chat template has no system role; {merged:,} system messages are merged into the first user turn")
        fates = choose_rows(checked.fates, settings.overlong, settings.batch_size, settings.seed, checked.held_out,
                            name=partial(name_chosen, lengths))  # fmt: skip
        write_left_out(lengths, fates, folder / "overlong.csv")
    finally:
        lengths.unlink(missing_ok=True)
    trained, counts = is_trained(fates), fates.value_counts()
    say(
        f"{trained.sum():,} of {len(fates):,} pairs are trained on; {counts.get('dropped', 0):,} do not fit "
        f"{settings.max_length:,} tokens, {counts.get('cut', 0):,} are cut there, {counts.get('remainder', 0):,} "
        f"do not fill a batch of {settings.batch_size:,}, {counts.get('equal', 0):,} have equal answers and "
        f"{counts.get('empty', 0):,} have an empty answer after rendering with the chat template"
        + (f", {counts['held_out']:,} are held out" if settings.held_out else "")
    )
    chosen = {"data.parquet": trained} | ({HELD_OUT: fates.eq("held_out")} if settings.held_out else {})
    for name, mask in chosen.items():
        write_pairs(select_pairs(dataset, tokenizer, mask.to_numpy(bool)), folder / name)
    return fates


def steps_of(fates: pd.Series, settings: Any) -> int:
    """Return the number of optimiser steps; every selected row is in exactly one batch per epoch."""
    return int(is_trained(fates).sum()) // settings.batch_size * settings.epochs


def _train(
    settings: Any, base: dict[str, Any], model: Path, fates: pd.Series, folder: Path, say: Callable[[str], None],
    lock: int, start: Callable[..., Any],
) -> None:  # fmt: skip
    """Run the trainer, which resumes from the last checkpoint if there is one, and write ``model.part/``."""
    keep_last_checkpoint(folder, {"processes": world_size(settings), "zero_stage": settings.zero_stage})
    number, steps = len(list((folder / "attempts").glob("*.log"))), steps_of(fates, settings)
    attempt = folder / "attempts" / f"{number:03d}.log"
    shutil.rmtree(folder / "model.part", ignore_errors=True)
    (folder / "policy.json").unlink(missing_ok=True)  # left over if the model was deleted
    adapted = "adapter.part" if settings.lora is not None else "model.part"
    arguments = trainer.command(
        settings, model=str(model), data="data.parquet", output=adapted, checkpoints="checkpoints",
        port=20000 + int(folder.name, 16) % 20000, visible_gpus=os.environ.get("CUDA_VISIBLE_DEVICES"),
        chat_template=base.get("chat_template"), nodes=job_nodes(os.environ),
        held_out=HELD_OUT if settings.held_out else None, evaluate_every=steps_between_evaluations(steps),
        tracking=tracking_flags(settings, os.environ, folder.name),
    )  # fmt: skip
    began = time.time()
    threads = settings.runtime.threads if settings.runtime.launcher == "cpu" else None
    say(f"training {steps:,} steps in {folder}")
    read = training_log.progress(say, settings.batch_size, micro_steps(settings), steps)
    trainer.run(arguments, folder, attempt, read, lock, threads, start)
    if settings.lora is not None:
        merge = trainer.merge_command(settings, model=str(model), adapter=adapted, output="model.part")
        trainer.run(merge, folder, folder / "attempts" / "merge.txt", lambda _: None, lock, threads)
    run = {"seconds": round(time.time() - began, 1), "attempts": number + 1, "processes": world_size(settings)}
    _write_json(folder / "run.json", run | {"finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})


def keep_last_checkpoint(folder: Path, layout: dict[str, Any]) -> None:
    """Delete all checkpoints except the last complete one, and also that one if it was written in another layout.

    Before OpenRLHF writes a checkpoint, it counts the folders and deletes the oldest. An incomplete folder would
    therefore make it delete the only usable one.
    """
    checkpoints, made = folder / "checkpoints", folder / "layout.json"
    if not made.is_file() or json.loads(made.read_text("utf-8")) != layout:
        for old in (checkpoints, folder / "attempts"):
            shutil.rmtree(old, ignore_errors=True)
    _write_json(made, layout)
    (folder / "attempts").mkdir(exist_ok=True)
    latest = checkpoints / "latest"
    tag = latest.read_text("utf-8").strip() if latest.is_file() else ""
    if not tag or not (checkpoints / tag).is_dir():
        shutil.rmtree(checkpoints, ignore_errors=True)
        return
    for other in checkpoints.iterdir():
        if other.is_dir() and other.name != tag:
            shutil.rmtree(other)


def _finish(settings: Any, base: dict[str, Any], model: Path, fates: pd.Series, folder: Path) -> None:
    """Write the table of steps, move the model to its final folder, and write the marker last."""
    steps = steps_of(fates, settings)
    attempts = sorted((folder / "attempts").glob("*.log"))
    log = training_log.read_attempts(attempts, settings.batch_size, micro_steps(settings), steps)
    training_log.require_numbers(log, folder)
    if settings.held_out:
        log = training_log.add_evaluations(log, attempts)
    with atomic_write(folder / "log.csv", "w") as file:
        log.to_csv(file, index=False, lineterminator="\n")
    _restore_base_files(base, model, folder / "model.part")
    shutil.rmtree(folder / "model", ignore_errors=True)
    os.replace(folder / "model.part", folder / "model")
    policy = {
        "revision": content_revision(folder / "model"), "digest": folder.name,
        "base": {"path": base["path"], "revision": base["revision"]}, "rows": int(is_trained(fates).sum()),
        "rows_given": len(fates), "steps": steps, "settings": outcome_settings(settings),
        "versions": {name: version(name) for name in PACKAGES},
        **({"rows_held_out": int(fates.eq("held_out").sum())} if settings.held_out else {}),
    }  # fmt: skip
    _write_json(folder / "policy.json", policy)
    for spent in ("checkpoints", "cache", "adapter.part"):
        shutil.rmtree(folder / spent, ignore_errors=True)


def _restore_base_files(base: dict[str, Any], model: Path, trained: Path) -> None:
    """Restore the base model's tokenizer and ``use_cache`` in the trained model.

    OpenRLHF saves both with the values used for training: a tokenizer that truncates at the maximum length,
    and no cache.
    """
    for saved in tokenizer_files(trained):
        saved.unlink()
    for original in tokenizer_files(model):
        shutil.copyfile(original, trained / original.name)
    if base.get("chat_template"):
        (trained / "chat_template.jinja").write_text(base["chat_template"], "utf-8")
    config = json.loads((trained / "config.json").read_text("utf-8"))
    config["use_cache"] = json.loads((model / "config.json").read_text("utf-8")).get("use_cache", True)
    _write_json(trained / "config.json", config)


def publish(folder: Path, policy: Path, log: Path, overlong: Path) -> None:
    """Write a rule's outputs from a finished training: the policy and its path, the steps, and the rows left out.

    TensorBoard's event files, if there are any, are copied to the folder of the policy.
    """
    content = json.loads((folder / "policy.json").read_text("utf-8"))
    _write_json(policy, {"path": (folder / "model").as_posix(), **content})
    for source, target in ((folder / "log.csv", log), (folder / "overlong.csv", overlong)):
        with atomic_write(target) as file:
            file.write(source.read_bytes())
    shutil.rmtree(policy.parent / FOLDER, ignore_errors=True)
    if (folder / FOLDER).is_dir():
        shutil.copytree(folder / FOLDER, policy.parent / FOLDER)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_write(path, "w") as file:
        file.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
