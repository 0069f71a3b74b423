"""What engines import on a CPU, so that one process can import it for several batches (running/fork_server.py)."""

from __future__ import annotations

import os

from polypref.requests.engines.vllm_internals import IMPORTED_AT_START

VLLM_ENVIRONMENT = {"VLLM_LOGGING_LEVEL": "WARNING", "VLLM_NO_USAGE_STATS": "1"}
"""Environment variables that vLLM reads when it is imported, unless they are set already."""
IN_THIS_PROCESS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
"""Without it, vLLM on a CPU runs its executor in a separate process."""

_JOB = ("pandas", "pyarrow.parquet", "pyarrow.pandas_compat", "snakemake.logging", "yaml", "rich.text",
        "polypref.plan.plan", "polypref.requests.complete")  # fmt: skip
_ENGINES = {
    "vllm": ("polypref.requests.engines.vllm", "polypref.requests.engines.transformers", *IMPORTED_AT_START),
    "seq2seq": ("polypref.requests.engines.seq2seq", "transformers", "ctranslate2"),
}


def imported_on_cpu(engine: str) -> tuple[tuple[str, ...], dict[str, str]] | None:
    """Return the modules that a batch imports on a CPU, and the environment variables that they have to find.

    Returns
    -------
    (modules, variables), or None for an engine that starts quickly.
    """
    if engine not in _ENGINES:
        return None
    variables = {name: os.environ.get(name, value) for name, value in VLLM_ENVIRONMENT.items()} | IN_THIS_PROCESS
    return (*_JOB, *_ENGINES[engine]), variables if engine == "vllm" else {}
