"""Run a command of OpenRLHF, unchanged, where something that it assumes is missing.

Usage: ``openrlhf_launcher.py [--cpu] MODULE [FLAG ...]``.

OpenRLHF 0.11 assumes flash-attn and a CUDA compiler even where neither is used:

- It imports ``flash_attn.bert_padding`` and ``flash_attn.utils.distributed`` for packed samples, which this workflow
  does not use. Without flash-attn, empty modules stand in for them.
- DeepSpeed's AdamW, on the GPU and offloaded, is compiled at first use, which needs nvcc of torch's CUDA version.
  DeepSpeed's own option ``torch_adam`` selects torch's AdamW, which needs no compiler.

With ``--cpu`` there is no CUDA at all. OpenRLHF asks ``torch.cuda.current_device()``, calls
``torch.cuda.synchronize()`` and builds its device mesh on "cuda"; these are answered for one CPU process.
"""

import os
import runpy
import socket
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

STAND_INS = {
    "flash_attn": (),
    "flash_attn.utils": (),
    "flash_attn.utils.distributed": ("all_gather",),
    "flash_attn.bert_padding": ("index_first_axis", "pad_input", "rearrange", "unpad_input"),
}
"""Modules that OpenRLHF imports from flash-attn, and the names that it takes from them."""


def set_environment() -> None:
    """Describe a distributed run of one CPU process, unless the caller has done so."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    one = {"DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": "", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    one |= {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "-1", "LOCAL_SIZE": "1"}
    one |= {"OMP_WAIT_POLICY": "PASSIVE"}  # spinning threads take ten times as long where jobs share the cores
    for name, value in one.items():
        os.environ.setdefault(name, value)


def supply_flash_attn() -> None:
    """Register empty modules with the names that OpenRLHF imports, where flash-attn is not installed."""
    if find_spec("flash_attn") is not None:
        return
    for name, functions in STAND_INS.items():
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        for function in functions:
            setattr(module, function, None)
        sys.modules[name] = module


def use_torch_adamw(fused: bool) -> None:
    """Make DeepSpeed use torch's AdamW. On a GPU its fused kernels are used, which come with torch."""
    import deepspeed

    initialize = deepspeed.initialize

    def with_torch_adamw(*arguments, config, **options):
        optimizer = config.get("optimizer")
        if optimizer and optimizer["type"] == "AdamW":
            optimizer["params"] |= {"torch_adam": True} | ({"fused": True} if fused else {})
        return initialize(*arguments, config=config, **options)

    deepspeed.initialize = with_torch_adamw


def supply_cuda() -> None:
    """Answer OpenRLHF's and DeepSpeed's questions about CUDA with the CPU."""
    import deepspeed  # noqa: F401  its modules are changed below
    import torch
    import torch.distributed.device_mesh as device_mesh

    on_any_device = device_mesh.init_device_mesh
    device_mesh.init_device_mesh = lambda _device, shape, **names: on_any_device("cpu", shape, **names)
    torch.cuda.current_device = lambda: "cpu"
    torch.cuda.synchronize = lambda *_: None
    # It would compile an operator for messages in shared memory, which one process does not send.
    import_module("deepspeed.comm.torch").build_shm_op = lambda: None  # the attribute deepspeed.comm.torch is torch


if __name__ == "__main__":
    place = next(n for n, argument in enumerate(sys.argv) if n and not argument.startswith("--"))
    module, before = sys.argv[place], sys.argv[1:place]  # DeepSpeed's launcher puts --local_rank before the module
    supply_flash_attn()
    if on_cpu := "--cpu" in before:
        set_environment()
        supply_cuda()
    use_torch_adamw(fused=not on_cpu)
    sys.argv = [module, *(flag for flag in before if flag != "--cpu"), *sys.argv[place + 1 :]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
