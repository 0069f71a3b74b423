"""GPU packages: CPU builds, packages for another CUDA version and failing imports are found before any job."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from polypref.config.loading import load_config, read_languages
from polypref.plan.plan import Plan
from polypref.preflight import gpu_packages
from polypref.preflight.gpu_packages import check_gpu_packages, check_torch, faults, faults_in_a_process

ROOT = Path(__file__).parents[2]


def plan_of(name: str, **training) -> Plan:
    raw = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8"))
    raw["training"] |= training
    return Plan(load_config(raw, ROOT), read_languages(ROOT))


@pytest.mark.skipif(torch.version.cuda is not None, reason="this environment has torch for CUDA")
def test_a_cpu_build_of_torch_is_found_in_a_separate_process():
    (fault, *others) = faults_in_a_process(["vllm"], driver=False)
    assert "is the build for CPUs" in fault and "tools/setup.sh gpu" in fault
    assert any("the GPU build of vLLM is not installed" in other for other in others)


def test_a_package_for_another_cuda_version_is_reported(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(gpu_packages, "cuda_versions", lambda package: {"12"} if package == "torchvision" else {"13"})
    assert list(check_torch()) == ["torch was built for CUDA 13.0 and torchvision for CUDA 12"]


def test_versions_of_cuda_are_read_from_the_shared_libraries(monkeypatch, tmp_path):
    (tmp_path / "_C.so").write_bytes(b"\x7fELF\0libcudart.so.12\0libcuda.so.1\0 a libcudart.so.11 in a text\0")
    package = [SimpleNamespace(name=name, locate=lambda name=name: tmp_path / name) for name in ("_C.so", "a.py")]
    monkeypatch.setattr(gpu_packages, "files", lambda _: package)
    assert gpu_packages.cuda_versions("torchvision") == {"12"}
    assert gpu_packages.libraries_named_in(tmp_path / "_C.so") == {"libcudart.so.12", "libcuda.so.1"}


def test_a_failing_import_is_one_fault(monkeypatch):
    def broken(driver: bool):
        raise ImportError("operator torchvision::nms\n does not exist")
        yield

    monkeypatch.setattr(gpu_packages, "check_torch", lambda: iter(()))
    monkeypatch.setitem(gpu_packages.CHECKS, "vllm", broken)
    assert list(faults(["vllm"], False)) == [
        "vllm can't be imported: ImportError: operator torchvision::nms does not exist"
    ]


def test_the_preflight_checks_the_engines_that_the_plan_runs_on_gpus():
    asked = []
    for name in ("config", "single_gpu", "demo"):
        list(check_gpu_packages(plan_of(name), True, lambda engines, here: asked.append((engines, here)) or []))
    assert asked == [(["vllm", "seq2seq", "training"], True), (["vllm", "training"], True)]
    found = list(check_gpu_packages(plan_of("single_gpu"), False, lambda *_: ["vllm can't be loaded"]))
    assert [(finding.level, finding.what) for finding in found] == [("error", "GPU packages: vllm can't be loaded")]


def test_missing_flash_attention_is_an_error():
    ours = plan_of("single_gpu", attn_implementation="flash_attention_2")
    (finding, _) = check_gpu_packages(ours, False, lambda *_: [])
    assert finding.level == "error" and "tools/setup.sh gpu --flash-attn" in finding.what
