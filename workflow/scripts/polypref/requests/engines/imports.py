"""What engines import on a CPU, so that one process can import it for several batches (running/fork_server.py)."""

from __future__ import annotations

from polypref.requests.engines.vllm_internals import IMPORTED_AT_START
from polypref.running.fork_server import Imports

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


def imported_on_cpu(engine: str) -> Imports | None:
    """Return what a batch imports on a CPU; None for an engine that starts quickly."""
    if engine not in _ENGINES:
        return None
    modules = (*_JOB, *_ENGINES[engine])
    if engine != "vllm":
        return Imports("engines", modules)
    return Imports("engines", modules, lambda base: {**VLLM_ENVIRONMENT, **base, **IN_THIS_PROCESS})
