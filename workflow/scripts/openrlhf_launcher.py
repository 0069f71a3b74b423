"""Run a command of OpenRLHF, unchanged, on a machine without CUDA: ``openrlhf_cpu.py MODULE [FLAG ...]``.

OpenRLHF 0.11 assumes CUDA in five places: it imports ``flash_attn.bert_padding`` and
``flash_attn.utils.distributed``, asks ``torch.cuda.current_device()``, calls ``torch.cuda.synchronize()``, and builds
its device mesh on "cuda". They are supplied here, for one process. DeepSpeed would compile two CPU operators at first
use, for about two minutes: messages in shared memory, which one process does not send, and a fused AdamW, for which
torch's own stands in.
"""

import os
import runpy
import socket
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType


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
    """Register modules with the names OpenRLHF imports. They are for packed samples, which a CPU run does not use."""
    wanted = {"flash_attn": (), "flash_attn.utils": (), "flash_attn.utils.distributed": ("all_gather",)}
    wanted["flash_attn.bert_padding"] = ("index_first_axis", "pad_input", "rearrange", "unpad_input")
    for name, functions in wanted.items():
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        for function in functions:
            setattr(module, function, None)
        sys.modules[name] = module


def supply_cuda() -> None:
    """Answer OpenRLHF's and DeepSpeed's questions about CUDA with the CPU."""
    import deepspeed.ops.adam
    import torch
    import torch.distributed.device_mesh as device_mesh

    on_any_device = device_mesh.init_device_mesh
    device_mesh.init_device_mesh = lambda _device, shape, **names: on_any_device("cpu", shape, **names)
    torch.cuda.current_device = lambda: "cpu"
    torch.cuda.synchronize = lambda *_: None
    import_module("deepspeed.comm.torch").build_shm_op = lambda: None  # the attribute deepspeed.comm.torch is torch
    deepspeed.ops.adam.FusedAdam = lambda params, adam_w_mode=True, **options: torch.optim.AdamW(params, **options)


if __name__ == "__main__":
    set_environment()
    supply_flash_attn()
    supply_cuda()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
