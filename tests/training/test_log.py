"""Training logs: means over a batch, resumed attempts, NaN, progress lines and curves."""

import os

import pandas as pd
import pytest

from polypref.training import log as training_log

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def bar(place: int, total: int, loss: float, epoch: int = 0, done: str = "") -> str:
    values = f"loss={loss}, acc=0.5, chosen_reward={loss / 10:.3g}, reject_reward=-0.1, lr=1e-06, grad_norm=2"
    return (
        f"\nnode1: Train step of epoch {epoch}:  1%|## | {place}/{total} [00:00<00:01, 9.1it/s, {values}]{done}\x1b[A"
    )


def test_log_has_means_over_the_batch():
    text = "Train step of epoch 0:  0%|  | 0/4 [00:00<?, ?it/s]" + "".join(
        [
            bar(0, 4, 0.7), bar(1, 4, 0.7), bar(1, 4, 0.5),  # the bar is drawn once with old values
            bar(2, 4, 0.4), bar(3, 4, 0.2), bar(4, 4, 0.2), bar(0, 4, 0.1, epoch=1),
        ]
    )  # fmt: skip
    table = training_log.read_attempt(text, batch_size=8, micro_steps=2)
    assert table["step"].tolist() == [1, 2]
    assert table["loss"].round(6).tolist() == [0.6, 0.3]
    assert table["margin"].round(6).tolist() == [0.16, 0.13]
    assert table.columns.tolist() == training_log.LOG_COLUMNS


def test_log_of_a_killed_training(tmp_path):
    resumed = "Loaded the checkpoint: checkpoints, consumed_samples: 8"
    (tmp_path / "0.log").write_text("".join(bar(place, 4, 0.9) for place in range(3)))
    (tmp_path / "1.log").write_text(resumed + "".join(bar(place, 2, 0.3) for place in range(2)))
    paths = sorted(tmp_path.glob("*.log"))
    table = training_log.read_attempts(paths, batch_size=4, micro_steps=1, steps=5)
    assert table["step"].tolist() == [1, 2, 3, 4, 5]
    assert table["loss"].tolist()[:4] == [0.9, 0.9, 0.3, 0.3] and pd.isna(table["loss"].iloc[4])
    assert training_log.read_attempts([], 4, 1, 2)["step"].tolist() == [1, 2]


def test_a_nan_loss_is_an_error(tmp_path):
    (tmp_path / "0.log").write_text(bar(0, 2, 0.5) + bar(1, 2, float("nan")))
    table = training_log.read_attempts([tmp_path / "0.log"], batch_size=4, micro_steps=1, steps=2)
    with pytest.raises(ValueError, match="not a number from step 2"):
        training_log.require_numbers(table, tmp_path)


def test_progress_line(monkeypatch):
    said, clock = [], iter(range(0, 1000, 10))
    monkeypatch.setattr(training_log.time, "monotonic", lambda: float(next(clock)))
    read = training_log.progress(said.append, batch_size=8, micro_steps=2, steps=100)
    for place in range(4):
        read(bar(place, 200, 0.5))
    assert said[-1] == "step 2 of 100, 0.4 pairs/s, 0:32:40 left, loss 0.500"


def test_training_curves_share_their_scales():
    from polypref.figures.training import plot_training

    def log(steps: int, slope: float) -> pd.DataFrame:
        step = pd.Series(range(1, steps + 1))
        rewards = {"chosen_reward": step * slope, "rejected_reward": -step * slope, "margin": 2 * step * slope}
        return pd.DataFrame({"step": step, "epoch": 1, "loss": 0.7 - step * slope, **rewards})

    figure = plot_training({"A": [log(40, 0.01)], "B": [log(10, 0.02)]}, batch_size=128)
    loss_a, loss_b, reward_a, reward_b = figure.axes
    assert loss_a.get_ylim() == loss_b.get_ylim() and reward_a.get_ylim() == reward_b.get_ylim()
    assert loss_a.get_xlim() == reward_b.get_xlim()
    assert loss_b.get_title(loc="right") == "n = 10 steps of 128 pairs"
    (label,) = loss_b.texts
    assert label.get_verticalalignment() == "top", "below its line, because the title of the panel is above it"


def test_evaluations_on_held_out_pairs(tmp_path):
    def evaluation(step: int, loss: float, accuracy: float) -> str:
        values = f"eval_loss={loss}, acc_mean={accuracy}"
        start = f"\rEval stage of global_step {step}:   0%|  | 0/2 [00:00<?, ?it/s]"
        return f"{start}\rEval stage of global_step {step}: 100%|##| 2/2 [00:00<00:00, 9.1it/s, {values}]\x1b[A"

    text = "".join([bar(0, 3, 0.7), bar(1, 3, 0.6), evaluation(2, 0.65, 0.75), bar(2, 3, 0.5), bar(3, 3, 0.5)])
    (tmp_path / "0.log").write_text(text + evaluation(3, 0.9, 0.1))
    (tmp_path / "1.log").write_text(evaluation(3, 0.6, 0.875))  # the step was repeated after a kill
    paths = sorted(tmp_path.glob("*.log"))
    table = training_log.read_attempts(paths, batch_size=4, micro_steps=1, steps=3)
    table = training_log.add_evaluations(table, paths)
    assert table.columns.tolist() == [*training_log.LOG_COLUMNS, *training_log.HELD_OUT]
    assert table["loss"].tolist() == [0.7, 0.6, 0.5], "the progress bars of the training are still parsed"
    assert table["held_out_loss"].isna().tolist() == [True, False, False]
    assert table[training_log.HELD_OUT].to_numpy()[1:].tolist() == [[0.65, 0.75], [0.6, 0.875]]
