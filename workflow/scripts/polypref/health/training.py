"""Checks of the training: did each policy learn from its pairs?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from polypref.health.checks import Row, row


def training_checks(
    logs: Mapping[str, pd.DataFrame], limits: Mapping[str, Any], training_loss: str = "dpo"
) -> list[Row]:
    """Check the training log of each policy; mean values are over the last quarter of the steps.

    The threshold of the loss is only defined for ``training_loss`` ``dpo``.
    """
    rows = []
    for name, log in logs.items():
        shown = log["loss"].notna() | log["epoch"].notna()
        last = log.tail(max(1, math.ceil(len(log) / 4)))
        lost = 100 * float(log.loc[shown, "loss"].isna().mean()) if shown.any() else math.nan
        loss, margin = float(last["loss"].mean()), float(last["margin"].mean())
        accuracy = 100 * float(last["accuracy"].mean())
        rows += [
            row("training_finite", name, lost, limits, f"the loss of {name} is not a number in {lost:.0f}% of steps"),
            *([row("training_loss", name, loss, limits,
                   f"the loss of {name} ends at {loss:.2f}; an untrained policy has 0.69")]
              if training_loss == "dpo" else []),
            row("training_accuracy", name, accuracy, limits,
                f"{name} ends with {accuracy:.0f}% of the pairs ranked correctly; chance is 50%"),
            row("training_too_easy", name, accuracy, limits,
                f"{name} ends with {accuracy:.0f}% of the pairs ranked correctly"),
            row("training_margin", name, margin, limits, f"the reward margin of {name} ends at {margin:.3f}"),
            row("training_steps", name, len(log), limits, f"{name} was trained for {len(log):,} steps"),
        ]  # fmt: skip
    return rows
