"""Parsing OpenRLHF's output into a table of optimiser steps and into progress lines.

In its log, OpenRLHF 0.11 only reports the rewards of each step's last micro-batch. Its progress bar shows every
micro-batch, averaged over all GPUs. Therefore the values are parsed from the bar and averaged over the whole batch;
they have the bar's three significant digits.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from polypref.running.logs import clock

LOG_COLUMNS = [
    "step", "epoch", "loss", "chosen_reward", "rejected_reward", "margin", "accuracy", "lr", "grad_norm",
]  # fmt: skip
HELD_OUT = ["held_out_loss", "held_out_accuracy"]
"""Further columns of a training with held-out pairs; empty in steps without an evaluation."""

_BAR = re.compile(r"Train step of epoch (\d+):[^|]*\|[^|]*\| *(\d+)/(\d+) \[[^\]]*?, (loss=[^\]]*)\]")
_EVALUATION = re.compile(r"Eval stage of global_step (\d+):[^|]*\|[^|]*\| *\d+/\d+ \[[^\]]*?, (eval_loss=[^\]]*)\]")
_PAIR = re.compile(r"(\w+)=([^\s,\]]+)")
_RESUMED = re.compile(r"Loaded the checkpoint: .*consumed_samples: (\d+)")


def read_bar(line: str) -> dict[str, float] | None:
    """Parse a line of the progress bar: epoch, number of the micro-batch, and its values."""
    match = _BAR.search(line)
    if not match:
        return None
    epoch, place, total, shown = match.groups()
    values = {name: float(value) for name, value in _PAIR.findall(shown)}
    return {"epoch": int(epoch), "place": int(place), "total": int(total), **values}


def resumed_samples(text: str) -> int:
    """Return the number of pairs that a resumed attempt had already processed, or 0 for a new training."""
    match = _RESUMED.search(text)
    return int(match.group(1)) if match else 0


def read_attempt(text: str, batch_size: int, micro_steps: int) -> pd.DataFrame:
    """Parse the steps of one attempt from the trainer's output.

    Parameters
    ----------
    text : str
        Standard output and error of one run of the trainer, including progress bars.
    batch_size : int
        Pairs per optimiser step.
    micro_steps : int
        Micro-batches per optimiser step and GPU.

    Returns
    -------
    DataFrame
        ``LOG_COLUMNS``, one row per finished optimiser step. Loss (nats), rewards (beta times the log ratio) and
        accuracy (0 to 1) are means over the batch; lr is the next step's rate; grad_norm is before clipping.
    """
    seen: dict[tuple[int, int], dict[str, float]] = {}
    for line in re.split(r"[\r\n]", text):
        micro = read_bar(line)
        if micro and micro["place"] < micro["total"]:
            seen[micro["epoch"], micro["place"]] = (
                micro  # the bar may be printed before its values, so the last one is used
            )
    micros = pd.DataFrame(list(seen.values())).rename(columns={"reject_reward": "rejected_reward", "acc": "accuracy"})
    if micros.empty:
        return pd.DataFrame(columns=LOG_COLUMNS)
    micros["step"] = resumed_samples(text) // batch_size + 1 + micros.index // micro_steps
    mean, last = ["loss", "chosen_reward", "rejected_reward", "accuracy"], ["epoch", "lr", "grad_norm"]
    steps = micros.groupby("step")
    table = steps[mean].mean().join(steps[last].last())[steps.size() == micro_steps].reset_index()
    table["margin"] = table["chosen_reward"] - table["rejected_reward"]
    table["epoch"] = table["epoch"].astype(int) + 1
    return table[LOG_COLUMNS]


def read_evaluations(text: str) -> pd.DataFrame:
    """Parse the evaluations on held-out pairs: step and ``HELD_OUT`` (nats, and 0 to 1), the last one of each step."""
    rows = []
    for line in re.split(r"[\r\n]", text):
        if match := _EVALUATION.search(line):
            values = {name: float(value) for name, value in _PAIR.findall(match[2])}
            rows.append((int(match[1]), values["eval_loss"], values["acc_mean"]))
    return pd.DataFrame(rows, columns=["step", *HELD_OUT]).drop_duplicates("step", keep="last")


def add_evaluations(table: pd.DataFrame, paths: Iterable[Path]) -> pd.DataFrame:
    """Add the columns ``HELD_OUT`` from the attempts of a training to its table of steps."""
    found = read_evaluations("\n".join(path.read_text("utf-8", "replace") for path in paths))
    return table.merge(found, on="step", how="left", validate="one_to_one")


def read_attempts(paths: Iterable[Path], batch_size: int, micro_steps: int, steps: int) -> pd.DataFrame:
    """Join the attempts of one training, in order; if a step was repeated, the later attempt is used.

    Returns
    -------
    DataFrame
        ``LOG_COLUMNS``, exactly one row per step from 1 to ``steps``; values that no attempt logged are missing.
    """
    attempts = [read_attempt(path.read_text("utf-8", "replace"), batch_size, micro_steps) for path in paths]
    attempts = [attempt for attempt in attempts if len(attempt)]
    if not attempts:
        return pd.DataFrame({"step": range(1, steps + 1)}).reindex(columns=LOG_COLUMNS)
    table = pd.concat(attempts).drop_duplicates("step", keep="last").set_index("step")
    table = table.reindex(pd.RangeIndex(1, steps + 1, name="step")).reset_index()
    return table[LOG_COLUMNS].round(8).astype({"epoch": "Int64"})


def require_numbers(table: pd.DataFrame, folder: Path) -> None:
    """Raise ValueError if the loss became NaN, since such a model must not be evaluated."""
    shown = table[table["epoch"].notna()]
    broken = shown.loc[shown["loss"].isna(), "step"]
    if len(broken):
        raise ValueError(
            f"{folder}: the loss is not a number from step {broken.iloc[0]} on. Lower training.learning_rate, or train "
            "in bf16 instead of fp16."
        )


def progress(
    report: Callable[[str], None], batch_size: int, micro_steps: int, steps: int, every: float = 10.0
) -> Callable[[str], None]:
    """Return a function that receives the lines of the trainer's output and reports progress lines at intervals.

    A progress line shows the step, pairs per second, remaining time and loss of the micro-batch. The interval starts at
    ``every`` seconds and grows with the duration of the training, up to ten minutes.
    """
    start = shown = time.monotonic()
    before = done = 0
    bar = None

    def read(line: str) -> None:
        nonlocal start, shown, before, done, bar
        before = before or resumed_samples(line) // batch_size
        micro = read_bar(line)
        if not micro or (micro["epoch"], micro["place"]) == bar:
            return
        bar, now = (micro["epoch"], micro["place"]), time.monotonic()
        start = start if done else now
        done += 1
        if now - shown < min(max(every, (now - start) / 20), 600) or done == 1:
            return
        shown = now
        step = before + done / micro_steps
        rate = (done - 1) * batch_size / micro_steps / (now - start)
        left = clock(max(steps - step, 0) * batch_size / rate)
        report(
            f"step {min(int(step), steps):,} of {steps:,}, {rate:,.1f} pairs/s, {left} left, loss {micro['loss']:.3f}"
        )

    return read
