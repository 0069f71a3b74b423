"""Packages of requirements/gpu.txt on a machine without a GPU and nvcc; `make gpu-lock` installs and tests them."""

import os
import re
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("POLYPREF_GPU_LOCK", "."))
CLONE = FOLDER / "clone"
PYTHON = CLONE / ".venv/bin/python"
pytestmark = pytest.mark.skipif("POLYPREF_GPU_LOCK" not in os.environ, reason="make gpu-lock installs the GPU lock")

FROM_THE_DRIVER = {
    "libcuda.so.1", "libnvidia-ml.so.1", "libnvidia-cfg.so.1", "libnvidia-opencl.so.1", "libnvoptix.so.1",
    "libnvcuvid.so.1",
}  # fmt: skip
UNUSED = {
    "libcufile.so.0": "GPUDirect Storage",
    "libnvjpeg.so.13": "torchvision has a copy under another name, for pictures",
}
"""Libraries that are opened by name only for what this workflow does not do."""
ENGINES = ["ctranslate2", "vllm", "torch", "torchvision", "torchaudio", "triton"]
"""Packages whose shared libraries the engines load. DeepSpeed and OpenRLHF have none."""

NAMED = """
import re, sys
from importlib.metadata import distributions
from polypref.preflight.gpu_packages import binaries, libraries_named_in
has = {file.name for found in distributions() for file in found.files or () if ".so" in file.name}
for package in sys.argv[1:]:
    for binary in binaries(package):
        for name in libraries_named_in(binary):
            if re.match(r"lib(cu|nv|nccl).*\\.so\\.", name):
                print(name, name in has)
"""
LOADED = """
import ctypes, sys
import torch
from polypref.requests.engines.cuda_libraries import load_for_ctranslate2
load_for_ctranslate2()
for name in sys.argv[1:]:
    ctypes.CDLL(name)
"""
HIDDEN = """
import sys
from polypref.preflight import gpu_packages
from polypref.requests.engines import cuda_libraries
cuda_libraries.packaged_library = lambda name, package: None
print(list(gpu_packages.check_seq2seq(False)))
"""


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess:
    """Run the installed Python in the folder of the scripts, as a job does."""
    return subprocess.run(
        [str(PYTHON), *arguments], cwd=CLONE / "workflow/scripts", env=os.environ | environ, capture_output=True,
        text=True, timeout=600,
    )  # fmt: skip


def test_set_up_called_no_cuda_compiler():
    assert not (FOLDER / "nvcc-was-called").exists()
    done = run("-c", "import importlib.util as u; print(u.find_spec('flash_attn'))")
    assert done.stdout.strip() == "None", "flash-attn is optional"


def test_torch_is_a_cuda_build_and_all_other_packages_match_it():
    done = run("-m", "polypref.preflight.gpu_packages")
    assert done.returncode == 0 and "FAULT" not in done.stdout, done.stdout + done.stderr[-2000:]
    assert re.match(r"\d+\.\d+$", run("-c", "import torch; print(torch.version.cuda)").stdout.strip())


@pytest.mark.parametrize("module", ["vllm", "ctranslate2", "deepspeed", "torchvision", "peft"])
def test_engines_import_without_a_gpu(module):
    done = run("-c", f"import {module}")
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_trainer_and_the_merge_start_without_flash_attn():
    failing = run("-c", "import openrlhf.cli.train_dpo")
    assert "No module named 'flash_attn'" in failing.stderr, "the launcher's empty modules are no longer needed"
    for module in ("openrlhf.cli.train_dpo", "openrlhf.cli.lora_combiner"):
        done = run("openrlhf_launcher.py", "--cpu", module, "--help")
        assert done.returncode == 0 and "usage:" in done.stdout, done.stderr[-2000:]


def test_every_cuda_library_opened_by_name_is_installed():
    found = run("-c", NAMED, *ENGINES)
    assert found.returncode == 0, found.stderr[-2000:]
    named = {name: has == "True" for name, has in (line.split() for line in found.stdout.splitlines())}
    assert "libcublas.so.12" in named and "libcudart.so.13" in named
    missing = {name for name, has in named.items() if not has} - FROM_THE_DRIVER - UNUSED.keys()
    assert not missing, "neither installed by requirements/gpu.txt nor part of the GPU's driver"


def test_libraries_opened_by_name_load_as_the_engines_load_them():
    found = run("-c", NAMED, "ctranslate2", "vllm", "torch").stdout.splitlines()
    names = {line.split()[0] for line in found} - FROM_THE_DRIVER - UNUSED.keys()
    done = run("-c", LOADED, *sorted(names))
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_missing_library_of_ctranslate2_is_reported():
    assert "pip install nvidia-cuda-nvrtc-cu12" in run("-c", HIDDEN).stdout
