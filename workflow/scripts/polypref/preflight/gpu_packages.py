"""Check that the installed GPU packages are compatible and that each engine's libraries load; no GPU is needed.

``python -m polypref.preflight.gpu_packages [vllm] [seq2seq] [training] [--driver]`` loads the libraries of these
engines and prints one fault per line; its exit code is 1 if there are any. Set-up calls it. The preflight runs it in a
separate process, because a library that fails to load may crash the process.
"""

from __future__ import annotations

import argparse
import ctypes
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from polypref.plan.needs import gpu_batches
from polypref.plan.plan import Plan
from polypref.preflight.findings import Finding
from polypref.requests.engines.cuda_libraries import DRIVER, LibraryError, load_for_ctranslate2
from polypref.training.attention import has_flash_attn

SCRIPTS = Path(__file__).parents[2]
COMPILED = ("vllm", "torchvision", "torchaudio", "torchcodec")
"""Packages that are compiled against torch and linked to the CUDA runtime in torch's wheel."""
LIBRARY = re.compile(rb"\0(lib[A-Za-z0-9_+-]+\.so(?:\.\d+)*)(?=\0)")
CUDA_RUNTIME = re.compile(r"libcudart\.so\.(\d+)$")
SECONDS = 180.0
"""Timeout for importing the engines of one check."""


def binaries(package: str) -> list[Path]:
    """List the shared libraries of a package; empty if it is not installed."""
    try:
        found = files(package) or ()
    except PackageNotFoundError:
        return []
    return [Path(str(file.locate())) for file in found if re.search(r"\.so(\.\d+)*$", file.name)]


def libraries_named_in(binary: Path) -> set[str]:
    """Find the names of libraries that a shared library links to or may open: its strings of the form ``lib*.so*``."""
    return {name.decode() for name in LIBRARY.findall(binary.read_bytes())}


def cuda_versions(package: str) -> set[str]:
    """Return the major CUDA versions of the runtimes that the shared libraries of a package refer to."""
    names = {name for binary in binaries(package) for name in libraries_named_in(binary)}
    return {match[1] for name in names if (match := CUDA_RUNTIME.match(name))}


def check_torch() -> Iterator[str]:
    """Check that torch is a CUDA build, and that `COMPILED` packages have the same major version of CUDA."""
    import torch

    if torch.version.cuda is None:
        yield (
            f"torch {torch.__version__} is the build for CPUs. Remedy: remove .venv and run tools/setup.sh gpu. If "
            "the same build is installed again, a folder or index in pip's configuration (pip config list) provides it"
        )
        return
    major = torch.version.cuda.split(".")[0]
    for package in COMPILED:
        other = cuda_versions(package) - {major}
        if other:
            yield f"torch was built for CUDA {torch.version.cuda} and {package} for CUDA {', '.join(sorted(other))}"


def check_vllm(driver: bool) -> Iterator[str]:
    """Check that vLLM's kernels load, and that Triton finds the compiler and header that it needs at run time."""
    kernels = [path for path in binaries("vllm") if path.parent.name == "vllm" and path.name.startswith("_C")]
    if not kernels:
        yield "the GPU build of vLLM is not installed. Remedy: tools/setup.sh gpu"
    for path in kernels:
        yield from _fault_of_loading(path, driver)
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        yield "no C compiler (gcc), which vLLM needs for Triton. Remedy: apt-get install gcc"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.is_file():
        yield f"{header} is missing, which vLLM needs for Triton. Remedy: apt-get install python3.11-dev"


def _fault_of_loading(path: Path, driver: bool) -> Iterator[str]:
    try:
        ctypes.CDLL(str(path))
    except OSError as error:
        if driver or DRIVER not in str(error):
            yield f"{path.name} can't be loaded: {error}"


def check_seq2seq(driver: bool) -> Iterator[str]:
    """Check that CTranslate2 can be imported, and that the libraries that it opens by name load."""
    import ctranslate2

    try:
        load_for_ctranslate2()
    except LibraryError as error:
        yield str(error)
    if driver and not ctranslate2.get_cuda_device_count():
        yield "CTranslate2 finds no GPU"


def check_training(driver: bool) -> Iterator[str]:
    """Check that OpenRLHF's trainer can be imported, with empty modules for flash-attn if that is not installed."""
    import openrlhf_launcher

    openrlhf_launcher.supply_flash_attn()
    import deepspeed  # noqa: F401
    import openrlhf.cli.train_dpo  # noqa: F401
    import torch

    if driver and not torch.cuda.is_available():
        yield "torch finds no GPU"


CHECKS: dict[str, Callable[[bool], Iterator[str]]] = {
    "vllm": check_vllm,
    "seq2seq": check_seq2seq,
    "training": check_training,
}


def faults(engines: Sequence[str], driver: bool) -> Iterator[str]:
    """Find the faults that prevent engines from starting; ``driver``: whether this machine has a GPU driver."""
    yield from check_torch()
    for engine in engines:
        try:
            yield from CHECKS[engine](driver)
        except (ImportError, OSError, AttributeError, RuntimeError) as error:
            yield f"{engine} can't be imported: {type(error).__name__}: {' '.join(str(error).split())[:300]}"


def faults_in_a_process(engines: Sequence[str], driver: bool) -> list[str]:
    """Find the faults in a separate process, which a library that fails to load may crash."""
    command = [sys.executable, "-m", "polypref.preflight.gpu_packages", *engines, *(["--driver"] if driver else [])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, cwd=SCRIPTS)
    except subprocess.TimeoutExpired:
        return [f"{', '.join(engines)}: the imports took more than {SECONDS:g} s"]
    found = [line.removeprefix("FAULT ") for line in done.stdout.splitlines() if line.startswith("FAULT ")]
    if done.returncode and not found:
        found = [f"importing {', '.join(engines)} ended with exit code {done.returncode}: {done.stderr.strip()[-300:]}"]
    return found


def check_gpu_packages(
    plan: Plan, here: bool, find: Callable[[Sequence[str], bool], list[str]] = faults_in_a_process
) -> Iterator[Finding]:
    """Check that the libraries of all engines that run on GPUs load in this environment, which the jobs use too."""
    training = plan.config.training
    engines = {plan.config.checkpoints[plan.batch_checkpoint(*b.split("/", 1))].engine for b in gpu_batches(plan)}
    if training.runtime.launcher != "cpu" and training.runtime.gpus:
        engines.add("training")
        if training.attn_implementation == "flash_attention_2" and not has_flash_attn():
            yield Finding(
                "error",
                "training.attn_implementation is flash_attention_2, and flash-attn is not installed: set it to auto, "
                "or run tools/setup.sh gpu --flash-attn",
            )
    wanted = [engine for engine in CHECKS if engine in engines]
    if not wanted:
        return
    found = find(wanted, here)
    yield from (Finding("error", f"GPU packages: {fault}") for fault in found)
    if not found:
        yield Finding("ok", f"the libraries of {', '.join(wanted)} are installed and can be loaded")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engines", nargs="*", help=f"of {', '.join(CHECKS)}; all by default")
    parser.add_argument("--driver", action="store_true", help="this machine has a GPU and its driver")
    arguments = parser.parse_args()
    if unknown := set(arguments.engines) - CHECKS.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    found = False
    for fault in faults(arguments.engines or list(CHECKS), arguments.driver):
        found = True
        print(f"FAULT {fault}", flush=True)
    sys.exit(found)


if __name__ == "__main__":
    main()
