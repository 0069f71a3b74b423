"""What model jobs import can be imported by a process that forks: it starts no threads and does not use CUDA."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from polypref.datasets.identification import NEIGHBOURS, imported_by_identification
from polypref.requests.engines.imports import imported_on_cpu
from polypref.running.fork_server import SUPPORTED
from polypref.training.imports import imported_by_training

pytestmark = [
    pytest.mark.e2e,  # seconds of imports
    pytest.mark.skipif(not SUPPORTED, reason="forks are used on Linux only"),
]
SCRIPTS = Path(__file__).parents[2] / "workflow/scripts"
CODE = """
import sys
from pathlib import Path
from polypref.running.fork_server import import_all
import_all(sys.argv[1:])
import torch
assert not torch.cuda.is_initialized()
print(*sorted(path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")))
print(*sorted({"datasets", "openrlhf"} & sys.modules.keys()))
"""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


IMPORTS = {
    "vllm": imported_on_cpu("vllm"),
    "seq2seq": imported_on_cpu("seq2seq"),
    "training": imported_by_training(1),
    "languages": imported_by_identification(["en", "de", "ja", *NEIGHBOURS], "polypref.evaluation.biases"),
}


@pytest.mark.parametrize("what", IMPORTS)
def test_imports_start_no_threads(what):
    imports = IMPORTS[what]
    environment = imports.environment({**os.environ, **ONE_THREAD, "PYTHONPATH": str(SCRIPTS), "TQDM_DISABLE": "1"})
    done = subprocess.run(
        [sys.executable, "-c", CODE, *imports.modules], env=environment, capture_output=True, text=True, check=True
    )
    threads, too_early = done.stdout.splitlines()[-2:]
    assert threads.split() in (["jemalloc_bg_thd", "python"], ["python"]), (
        "jemalloc stops and starts its thread at a fork"
    )
    assert what != "training" or (not too_early and "TQDM_DISABLE" not in environment)


def test_only_engines_that_import_torch_are_prepared():
    assert imported_on_cpu("openai") is None
    user = {"VLLM_LOGGING_LEVEL": "DEBUG", "VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    adapted = imported_on_cpu("vllm").environment(user)
    assert (adapted["VLLM_LOGGING_LEVEL"], adapted["VLLM_ENABLE_V1_MULTIPROCESSING"]) == ("DEBUG", "0")
