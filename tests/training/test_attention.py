"""Choosing the attention kernels; training needs neither flash-attn nor a CUDA compiler."""

import importlib.util
import subprocess
import sys

import pytest

from polypref.config.training import Training
from polypref.training import trainer
from polypref.training.attention import attention_used


def settings(launcher: str, attention: str) -> Training:
    runtime = {"launcher": launcher, "gpus": int(launcher == "deepspeed")}
    return Training(base="tiny", attn_implementation=attention, runtime=runtime)


@pytest.mark.parametrize(
    ("launcher", "installed", "used"),
    [("deepspeed", True, "flash_attention_2"), ("deepspeed", False, "sdpa"), ("cpu", True, "sdpa")],
)
def test_auto_is_flash_attention_only_where_it_is_installed(monkeypatch, tmp_path, launcher, installed, used):
    if installed:
        (tmp_path / "flash_attn.py").write_text("")
        monkeypatch.syspath_prepend(str(tmp_path))
        importlib.invalidate_caches()
    elif importlib.util.find_spec("flash_attn"):
        pytest.skip("flash-attn is installed in this environment")
    assert attention_used(settings(launcher, "auto")) == used


def test_an_explicit_implementation_is_used():
    assert {attention_used(settings("deepspeed", name)) for name in ("eager", "sdpa", "flash_attention_2")} == {
        "eager", "sdpa", "flash_attention_2",
    }  # fmt: skip


STAND_IN = """
import json, sys, openrlhf_launcher as launcher
launcher.supply_flash_attn()
from transformers.utils import is_flash_attn_2_available
from openrlhf.models import ring_attn_utils
assert not is_flash_attn_2_available() and callable(ring_attn_utils.gather_and_pad_tensor)
import deepspeed
given = []
deepspeed.initialize = lambda *args, config, **options: given.append(config)
launcher.use_torch_adamw(fused=True)
deepspeed.initialize(model=None, config={"optimizer": {"type": "AdamW", "params": {"lr": 1.0}}})
deepspeed.initialize(model=None, config={"zero_optimization": {}})
print(json.dumps(given))
"""


@pytest.mark.e2e  # seconds of computing
def test_the_launcher_replaces_what_would_need_a_cuda_compiler():
    pytest.importorskip("openrlhf")
    shown = subprocess.run(
        [sys.executable, "-c", STAND_IN], capture_output=True, text=True, timeout=300, cwd=trainer.LAUNCHER.parent
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[-1] == (
        '[{"optimizer": {"type": "AdamW", "params": {"lr": 1.0, "torch_adam": true, "fused": true}}}, '
        '{"zero_optimization": {}}]'
    )


COMPILER_FREE = """
import torch
from deepspeed.runtime.engine import DeepSpeedEngine
for offload in (False, True):
    class Engine:
        zero_use_cpu_optimizer = staticmethod(lambda: offload)
    weights = [torch.nn.Parameter(torch.ones(3))]
    options = {"lr": 0.1, "torch_adam": True, "fused": True, "betas": [0.9, 0.95]}
    kind, more = DeepSpeedEngine.get_optimizer_configuration(Engine(), options, True)
    optimizer = kind(weights, **options, **more)
    weights[0].grad = torch.ones(3)
    optimizer.step()
    assert type(optimizer) is torch.optim.AdamW and float(weights[0][0]) < 1, offload
from deepspeed.runtime.zero.utils import ZERO_SUPPORTED_OPTIMIZERS
assert torch.optim.AdamW in ZERO_SUPPORTED_OPTIMIZERS
"""


@pytest.mark.e2e  # seconds of computing
def test_deepspeed_takes_torch_adamw_on_the_gpu_and_offloaded():
    pytest.importorskip("deepspeed")
    done = subprocess.run([sys.executable, "-c", COMPILER_FREE], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
