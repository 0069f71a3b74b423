"""Curves for TensorBoard or Weights & Biases, which OpenRLHF writes in addition to its output."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

FOLDER = "tensorboard"
"""Folder of the event files for TensorBoard, in the folder of a training."""
KEY = "WANDB_API_KEY"
PROJECT = "polypref"


def uses_wandb(settings: Any, environment: Mapping[str, str]) -> bool:
    """Whether a training is logged to Weights & Biases: if there is a key and the trainer gets the environment.

    DeepSpeed's launcher does not pass the environment on to the nodes of a host file.
    """
    by_ssh = settings.runtime.nodes > 1 and settings.runtime.hostfile
    return bool(environment.get(KEY)) and not by_ssh and find_spec("wandb") is not None


def tracking_flags(settings: Any, environment: Mapping[str, str], name: str) -> dict[str, str]:
    """Return the trainer's flags for TensorBoard or Weights & Biases; none if neither is requested and installed.

    The key itself is never on the command line, because other users of the machine can read it there and OpenRLHF
    uploads it. OpenRLHF only needs a non-empty value; wandb reads the key from the environment.

    Parameters
    ----------
    environment : the trainer's environment variables; wandb itself reads WANDB_ENTITY, WANDB_MODE and others.
    name : name of the run in Weights & Biases.
    """
    if uses_wandb(settings, environment):
        return {
            "--logger.wandb.key": KEY,
            "--logger.wandb.project": environment.get("WANDB_PROJECT") or PROJECT,
            "--logger.wandb.run_name": name,
        }
    if settings.runtime.tensorboard and find_spec("tensorboard") is not None:
        return {"--logger.tensorboard_dir": ".", "--logger.wandb.run_name": FOLDER}
    return {}
