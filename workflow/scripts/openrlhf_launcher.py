"""Run an unmodified OpenRLHF command without flash-attn, a CUDA compiler or a GPU.

Usage: ``openrlhf_launcher.py [--cpu] MODULE [FLAG ...]``.

OpenRLHF 0.11 assumes flash-attn and a CUDA compiler even where neither is used:

- It imports ``flash_attn.bert_padding`` and ``flash_attn.utils.distributed`` for packed samples, which this workflow
  does not use. If flash-attn is not installed, empty modules replace them.
- DeepSpeed's AdamW, on the GPU and offloaded, is compiled at first use, which needs nvcc of torch's CUDA version.
  DeepSpeed's own option ``torch_adam`` selects torch's AdamW, which needs no compiler.

With ``--cpu``, CUDA is not used. OpenRLHF calls ``torch.cuda.current_device()`` and ``torch.cuda.synchronize()`` and
builds its device mesh on "cuda"; these functions are replaced by versions for one CPU process. OpenRLHF trains only in
16 bits, for which torch has no fast kernels on CPUs with AVX2 only; there, matrices are multiplied in float32.
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
"""Modules of flash-attn that OpenRLHF imports, and the names that it imports from them."""

ONE_CPU_PROCESS = {
    "DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": "", "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "-1",
    "LOCAL_SIZE": "1", "MASTER_ADDR": "127.0.0.1",
    "OMP_WAIT_POLICY": "PASSIVE",  # with spinning threads, jobs that share cores take ten times as long
}  # fmt: skip
"""Environment variables of a distributed run with one CPU process, which torch and DeepSpeed read at their import."""


def set_environment() -> None:
    """Set the environment variables of a distributed run with one CPU process, unless they are set already."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    for name, value in {**ONE_CPU_PROCESS, "MASTER_PORT": port}.items():
        os.environ.setdefault(name, value)


def supply_flash_attn() -> None:
    """Register empty modules with the names that OpenRLHF imports, if flash-attn is not installed."""
    if find_spec("flash_attn") is not None:
        return
    for name, functions in STAND_INS.items():
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        for function in functions:
            setattr(module, function, None)
        sys.modules[name] = module


def use_torch_adamw(fused: bool) -> None:
    """Make DeepSpeed use torch's AdamW; ``fused`` selects torch's fused kernels, for a GPU."""
    import deepspeed

    initialize = deepspeed.initialize

    def with_torch_adamw(*arguments, config, **options):
        optimizer = config.get("optimizer")
        if optimizer and optimizer["type"] == "AdamW":
            optimizer["params"] |= {"torch_adam": True} | ({"fused": True} if fused else {})
        return initialize(*arguments, config=config, **options)

    deepspeed.initialize = with_torch_adamw


def supply_cuda() -> None:
    """Replace the CUDA functions that OpenRLHF and DeepSpeed call with versions for the CPU."""
    import deepspeed  # noqa: F401  its modules are changed below
    import torch
    import torch.distributed.device_mesh as device_mesh

    on_any_device = device_mesh.init_device_mesh
    device_mesh.init_device_mesh = lambda _device, shape, **names: on_any_device("cpu", shape, **names)
    torch.cuda.current_device = lambda: "cpu"
    torch.cuda.synchronize = lambda *_: None
    # DeepSpeed would compile an operator for shared-memory communication, which a single process does not need.
    import_module("deepspeed.comm.torch").build_shm_op = lambda: None  # the attribute deepspeed.comm.torch is torch


def multiply_in_float32() -> None:
    """Multiply bfloat16 matrices in float32 on a CPU with AVX2 only, and round the products to bfloat16.

    torch's own kernels there do the same up to the order of summation, but are many times slower.
    """
    import torch

    if torch.backends.cpu.get_cpu_capability() != "AVX2":
        return
    linear, matmul = torch.nn.functional.linear, torch.matmul

    def fast_linear(input, weight, bias=None):
        if input.dtype != torch.bfloat16:
            return linear(input, weight, bias)
        return linear(input.float(), weight.float(), None if bias is None else bias.float()).to(torch.bfloat16)

    def fast_matmul(input, other):
        if input.dtype != torch.bfloat16:
            return matmul(input, other)
        return matmul(input.float(), other.float()).to(torch.bfloat16)

    torch.nn.functional.linear, torch.matmul = fast_linear, fast_matmul


if __name__ == "__main__":
    place = next(n for n, argument in enumerate(sys.argv) if n and not argument.startswith("--"))
    module, before = sys.argv[place], sys.argv[1:place]  # DeepSpeed's launcher puts --local_rank before the module
    supply_flash_attn()
    if on_cpu := "--cpu" in before:
        set_environment()
        supply_cuda()
        multiply_in_float32()
    use_torch_adamw(fused=not on_cpu)
    sys.argv = [module, *(flag for flag in before if flag != "--cpu"), *sys.argv[place + 1 :]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
