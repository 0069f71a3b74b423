"""Command lines of the trainer on one node, on several, on a CPU and with LoRA."""

import itertools
import os
import runpy
import socket
import sys
from pathlib import Path

import pytest
from word_tokenizer import settings

from polypref.config.training import Training
from polypref.training import trainer
from polypref.training.tracking import tracking_flags
from polypref.training.trainer import TrainingError

os.environ.setdefault("HF_HUB_OFFLINE", "1")

PATHS = {"model": "/m", "data": "data.parquet", "output": "out", "checkpoints": "checkpoints"}


def flags(arguments: list[str]) -> dict[str, str]:
    return {name: value for name, value in itertools.pairwise(arguments) if name.startswith("--")}


def test_command_of_one_node():
    ours = Training(base="aya", runtime={"gpus": 8})
    arguments = trainer.command(ours, **PATHS, port=20001)
    assert arguments[:7] == [
        sys.executable, "-m", "deepspeed.launcher.runner", "--master_port", "20001", "--num_gpus", "8",
    ]  # fmt: skip
    assert arguments[7:9] == [str(trainer.LAUNCHER), "openrlhf.cli.train_dpo"]
    shown = flags(arguments)
    paper = {
        "--adam.lr": "5e-06", "--model.beta": "0.1", "--train.batch_size": "128", "--train.micro_batch_size": "1",
        "--train.max_epochs": "1", "--data.max_len": "4096", "--ds.zero_stage": "3", "--ds.param_dtype": "bf16",
        "--ds.attn_implementation": "sdpa", "--data.chosen_key": "chosen_messages",
    }  # fmt: skip
    assert {name: shown[name] for name in paper} == paper
    assert {"--data.apply_chat_template", "--ckpt.load_enable", "--model.gradient_checkpointing_enable"} <= set(
        arguments
    )
    assert not any(name.startswith("--ds.lora") or name == "--ds.adam_offload" for name in arguments)


def test_command_uses_only_the_visible_gpus():
    ours = Training(base="aya", runtime={"gpus": 2})
    assert "--num_gpus" not in trainer.command(ours, **PATHS, visible_gpus="4,5")
    with pytest.raises(TrainingError, match="shows 3"):
        trainer.command(ours, **PATHS, visible_gpus="4,5,6")


def test_command_of_several_nodes():
    ours = Training(base="aya", adam_offload=True, runtime={"gpus": 8, "nodes": 2, "hostfile": "hosts"})
    arguments = trainer.command(ours, **PATHS, visible_gpus="0,1")
    shown = flags(arguments)
    assert (shown["--hostfile"], shown["--num_nodes"], shown["--num_gpus"]) == (str(Path("hosts").resolve()), "2", "8")
    assert "--ds.adam_offload" in arguments


def test_command_of_several_nodes_of_a_slurm_job():
    ours = Training(base="aya", runtime={"gpus": 8, "nodes": 2})
    arguments = trainer.command(ours, **PATHS, port=20001, visible_gpus="0,1,2,3,4,5,6,7", nodes=["n7", "n9"])
    step, launcher = arguments[: arguments.index(sys.executable)], arguments[arguments.index(sys.executable) :]
    assert step[0] == "srun" and {"--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--gpus-per-node=8"} <= set(step)
    assert launcher[1:3] == ["-m", "torch.distributed.run"]
    shown = flags(launcher)
    assert (shown["--nnodes"], shown["--nproc-per-node"]) == ("2", "8")
    assert shown["--rdzv-endpoint"] == f"{socket.gethostname()}:20001", (
        "a job of several nodes starts on the first node"
    )
    assert launcher[launcher.index(str(trainer.LAUNCHER)) + 1] == "openrlhf.cli.train_dpo"
    assert shown["--train.batch_size"] == "128"
    with pytest.raises(TrainingError, match=r"this Slurm job has 0 nodes.*hostfile"):
        trainer.command(ours, **PATHS)


def test_command_on_cpu():
    arguments = trainer.command(settings(adam_offload=True, ref_offload=True), **PATHS)
    assert arguments[:4] == [sys.executable, str(trainer.LAUNCHER), "--cpu", "openrlhf.cli.train_dpo"]
    shown = flags(arguments)
    assert (shown["--ds.zero_stage"], shown["--ds.attn_implementation"]) == ("0", "sdpa")
    assert not {"--ds.adam_offload", "--ref.offload"} & set(arguments)


def test_command_with_lora():
    lora = {"rank": 8, "alpha": 32, "dropout": 0.1, "target_modules": ["q_proj", "v_proj"]}
    arguments = trainer.command(settings(lora=lora), **PATHS)
    place = arguments.index("--ds.lora.target_modules")
    assert arguments[place + 1 : place + 3] == ["q_proj", "v_proj"]
    assert (flags(arguments)["--ds.lora.rank"], flags(arguments)["--ds.lora.alpha"]) == ("8", "32")
    assert "--ds.lora.target_modules" not in trainer.command(settings(lora={"rank": 8}), **PATHS)
    merge = trainer.merge_command(settings(lora=lora), model="/m", adapter="a", output="o")
    assert merge[1:4] == [str(trainer.LAUNCHER), "--cpu", "openrlhf.cli.lora_combiner"]


ALL_OPTIONS = {
    "adam_offload": True, "ref_offload": True, "lora": {"target_modules": ["q_proj"]}, "loss": "ipo",
    "nll_coefficient": 0.2, "weight_decay": 0.1, "adam_betas": [0.8, 0.99], "liger_kernel": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def parse():
    """OpenRLHF's own parser of the command line: it runs up to the first use of its result."""
    pytest.importorskip("openrlhf")
    sys.path.insert(0, str(trainer.LAUNCHER.parent))
    import openrlhf_launcher

    before = set(sys.modules)
    openrlhf_launcher.supply_flash_attn()
    import openrlhf.cli.train_dpo
    import openrlhf.utils

    for name in set(openrlhf_launcher.STAND_INS) - before:  # other tests ask whether flash-attn is installed
        del sys.modules[name]

    class Parsed(Exception):
        pass

    def stop(arguments):
        raise Parsed(arguments)

    def parsed(arguments: list[str]):
        module = arguments.index("openrlhf.cli.train_dpo")
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Parsed) as found:
            patch.setattr(openrlhf.utils, "get_strategy", stop)
            patch.setattr(sys, "argv", arguments[module:])
            runpy.run_module("openrlhf.cli.train_dpo", run_name="__main__", alter_sys=True)
        return found.value.args[0]

    return parsed


def test_openrlhf_parses_every_option(parse):
    tracking = tracking_flags(settings(), {"WANDB_API_KEY": "secret"}, "run")
    ours = Training(base="aya", **ALL_OPTIONS)
    found = parse(
        trainer.command(
            ours, **PATHS, chat_template="{{ x }}", held_out="held_out.parquet", evaluate_every=3, tracking=tracking
        )
    )
    assert (found.model.ipo_enable, found.model.nll_loss_coef, found.model.label_smoothing) == (True, 0.2, 0)
    assert (found.adam.weight_decay, found.adam.betas, found.ds.use_liger_kernel) == (0.1, [0.8, 0.99], True)
    assert (found.eval.dataset, found.eval.split, found.eval.steps) == ("held_out.parquet", "train", 3)
    assert parse(trainer.command(Training(base="aya", label_smoothing=0.1), **PATHS)).model.label_smoothing == 0.1


def test_options_that_are_not_set_are_not_in_the_command(parse):
    """Our defaults are OpenRLHF's."""
    plain = trainer.command(Training(base="aya"), **PATHS)
    assert not [flag for flag in plain if flag.startswith(("--eval", "--logger", "--adam.b", "--adam.w", "--model.i"))]
    found, ours = parse(plain), Training(base="aya")
    assert (list(found.adam.betas), found.adam.weight_decay) == (ours.adam_betas, ours.weight_decay)
    assert (found.model.label_smoothing, found.model.nll_loss_coef) == (ours.label_smoothing, ours.nll_coefficient)
    assert not found.model.ipo_enable and not found.ds.use_liger_kernel


def test_tracking(parse):
    board = tracking_flags(settings(), {}, "run")
    assert board["--logger.tensorboard_dir"] == "." and board["--logger.wandb.run_name"] == "tensorboard"
    assert not tracking_flags(settings(runtime={"launcher": "cpu", "gpus": 0, "tensorboard": False}), {}, "run")
    secret = {"WANDB_API_KEY": "0123456789secret", "WANDB_PROJECT": "ours"}
    arguments = trainer.command(settings(), **PATHS, tracking=tracking_flags(settings(), secret, "run"))
    assert not [part for part in arguments if "secret" in part], "other users can read a command line"
    found = parse(arguments).logger
    assert found.wandb.key and (found.wandb.project, found.wandb.run_name) == ("ours", "run")
    by_ssh = Training(base="aya", runtime={"nodes": 2, "hostfile": "hosts"})
    assert "--logger.wandb.key" not in tracking_flags(by_ssh, secret, "run")
