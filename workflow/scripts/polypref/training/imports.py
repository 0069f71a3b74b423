"""What trainings import on a CPU, so that one process can import it for several of them (running/fork_server.py)."""

from __future__ import annotations

from collections.abc import Mapping

import openrlhf_launcher
from polypref.running.fork_server import Imports
from polypref.training.trainer import environment

MODULES = ("pandas", "pyarrow.parquet", "snakemake.logging", "rich.text", "polypref.training.training",
           "transformers", "torch.utils.tensorboard", "deepspeed", "peft")  # fmt: skip
"""Everything but OpenRLHF, which has to be imported with the changes of ``openrlhf_launcher.py``, and ``datasets``,
which reads the folder of its cache when it is imported."""


def imported_by_training(threads: int) -> Imports:
    """Return what a training on a CPU imports."""

    def adapted(base: Mapping[str, str]) -> dict[str, str]:
        return {**openrlhf_launcher.ONE_CPU_PROCESS, **environment(base, None, threads)}

    return Imports("trainer", MODULES, adapted)
