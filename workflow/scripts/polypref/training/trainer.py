"""Running OpenRLHF's trainer as a process: its command line, its environment and its error messages.

In all functions, ``settings`` is any object with the fields of the configuration's ``training`` section.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from polypref.config.training import Training
from polypref.running.slurm import step_environment, step_on_nodes
from polypref.training.attention import attention_used

TRAIN, MERGE = "openrlhf.cli.train_dpo", "openrlhf.cli.lora_combiner"
LAUNCHER = Path(__file__).resolve().parents[2] / "openrlhf_launcher.py"
"""Script that runs a command of OpenRLHF without flash-attn and without a CUDA compiler."""
TAIL = 15
"""Number of log lines in an error message."""

REMEDIES = (
    (
        r"OutOfMemoryError|CUDA out of memory",
        "The GPU's memory is full. Set training.micro_batch_size to 1, gradient_checkpointing, adam_offload and "
        "ref_offload to true and zero_stage to 3; then lower max_length, use more GPUs, or train with lora.",
    ),
    (
        r"No module named 'flash_attn|FlashAttention2 has been toggled on",
        "flash-attn is missing or does not fit this GPU. Set training.attn_implementation to sdpa, or run "
        "tools/setup.sh gpu --flash-attn.",
    ),
    (
        r"No module named 'liger_kernel",
        "Liger is missing. Run pip install liger-kernel, or set training.liger_kernel to false.",
    ),
    (r"No space left on device", "The disk is full: resumable checkpoints hold 16 bytes per parameter, two at a time."),
    (r"Address already in use|EADDRINUSE", "Another training uses this port on the machine; start this one again."),
    (r"PytorchStreamReader|invalid load key", "A resumable checkpoint is damaged; delete {folder}."),
    (
        r"invalid choice|unrecognized arguments",
        "OpenRLHF does not know a setting; this workflow requires openrlhf 0.11.",
    ),
)


class TrainingError(RuntimeError):
    """The trainer failed, or its settings are invalid; the message gives the remedy."""


def command(
    settings: Any,
    *,
    model: str,
    data: str,
    output: str,
    checkpoints: str,
    port: int = 29500,
    visible_gpus: str | None = None,
    chat_template: str | None = None,
    nodes: Sequence[str] = (),
    held_out: str | None = None,
    evaluate_every: int = -1,
    tracking: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Build the training command: `LAUNCHER` with OpenRLHF, run by DeepSpeed's launcher, or by srun and torchrun.

    On a CPU, the command runs `LAUNCHER` directly, in a single process.

    Parameters
    ----------
    model, data, output, checkpoints : str
        Folder of the base model, Parquet file with the pairs, folder for the trained model, folder for resumable
        checkpoints.
    port : int
        Port for communication between the processes; each training on a machine needs its own.
    visible_gpus : str, optional
        ``CUDA_VISIBLE_DEVICES``. On one node, DeepSpeed respects it only if no number of GPUs is passed.
    chat_template : str, optional
        Template to use instead of the tokenizer's own.
    nodes : sequence of str
        Nodes of the current Slurm job.
    held_out : str, optional
        Parquet file with pairs on which the model is evaluated every ``evaluate_every`` steps.
    tracking : mapping
        Flags from :func:`polypref.training.tracking.tracking_flags`.

    Raises
    ------
    TrainingError
        The number of nodes or of visible GPUs differs from the settings.
    """
    flags = {
        "--model.model_name_or_path": model, "--data.dataset": data, "--data.chosen_key": "chosen_messages",
        "--data.rejected_key": "rejected_messages", "--data.max_len": settings.max_length,
        "--ckpt.output_dir": output, "--ckpt.path": checkpoints, "--ckpt.max_num": 2,
        "--ckpt.save_steps": settings.runtime.save_steps or -1, "--train.batch_size": settings.batch_size,
        "--train.micro_batch_size": settings.micro_batch_size, "--train.max_epochs": settings.epochs,
        "--train.seed": settings.seed, "--model.beta": settings.beta, "--adam.lr": settings.learning_rate,
        "--lr_scheduler": settings.lr_scheduler, "--lr_warmup_ratio": settings.warmup_ratio,
        "--max_norm": settings.max_norm, "--ds.param_dtype": settings.param_dtype,
        **_memory_flags(settings), **_lora_flags(settings.lora), **_loss_flags(settings), **tracking,
    }  # fmt: skip
    if held_out:
        flags |= {"--eval.dataset": held_out, "--eval.split": "train", "--eval.steps": evaluate_every}
    if chat_template:
        flags["--data.tokenizer_chat_template"] = chat_template
    switches = ["--data.apply_chat_template", "--ckpt.load_enable", *_switches(settings)]
    pairs = [part for name, value in flags.items() for part in (name, *_texts(value))]
    return [*_launcher(settings, TRAIN, port, visible_gpus, nodes), *pairs, *switches]


def _texts(value: Any) -> list[str]:
    return [str(part) for part in value] if isinstance(value, list | tuple) else [str(value)]


def _memory_flags(settings: Any) -> dict[str, Any]:
    stage = 0 if settings.runtime.launcher == "cpu" else settings.zero_stage
    return {"--ds.zero_stage": stage, "--ds.attn_implementation": attention_used(settings)}


def _loss_flags(settings: Any) -> dict[str, Any]:
    """Flags of the loss and the optimiser for options that differ from OpenRLHF's defaults, which are ours as well."""
    flags = {
        "--model.label_smoothing": "label_smoothing", "--model.nll_loss_coef": "nll_coefficient",
        "--adam.weight_decay": "weight_decay", "--adam.betas": "adam_betas",
    }  # fmt: skip
    defaults = {name: field.default for name, field in Training.model_fields.items()}
    return {flag: getattr(settings, name) for flag, name in flags.items() if getattr(settings, name) != defaults[name]}


def _switches(settings: Any) -> list[str]:
    cpu = settings.runtime.launcher == "cpu"  # there is no GPU memory to offload
    wanted = {
        "--model.gradient_checkpointing_enable": settings.gradient_checkpointing,
        "--ds.adam_offload": settings.adam_offload and not cpu,
        "--ref.offload": settings.ref_offload and not cpu,
        "--model.ipo_enable": settings.loss == "ipo",
        "--ds.use_liger_kernel": settings.liger_kernel,
    }
    return [switch for switch, on in wanted.items() if on]


def _lora_flags(lora: Any) -> dict[str, Any]:
    if lora is None:
        return {}
    flags = {"--ds.lora.rank": lora.rank, "--ds.lora.alpha": lora.alpha, "--ds.lora.dropout": lora.dropout}
    if lora.target_modules != "all-linear":  # OpenRLHF's default; as a flag it would be parsed as a module name
        modules = lora.target_modules
        flags["--ds.lora.target_modules"] = [modules] if isinstance(modules, str) else list(modules)
    return flags


def _launcher(settings: Any, module: str, port: int, visible_gpus: str | None, nodes: Sequence[str]) -> list[str]:
    runtime = settings.runtime
    if runtime.launcher == "cpu":
        return [sys.executable, str(LAUNCHER), "--cpu", module]
    script = [str(LAUNCHER), module]
    deepspeed = [sys.executable, "-m", "deepspeed.launcher.runner", "--master_port", str(port)]
    if runtime.nodes > 1 and runtime.hostfile:
        hosts = ["--hostfile", str(Path(runtime.hostfile).resolve()), "--num_nodes", str(runtime.nodes)]
        return [*deepspeed, *hosts, "--num_gpus", str(runtime.gpus), *script]
    if runtime.nodes > 1:
        return [*_on_nodes(runtime, nodes, port), *script]
    if visible_gpus:
        found = len(visible_gpus.split(","))
        if found != runtime.gpus:
            raise TrainingError(
                f"training.runtime.gpus is {runtime.gpus}, but CUDA_VISIBLE_DEVICES={visible_gpus} shows {found}"
            )
        return [*deepspeed, *script]
    return [*deepspeed, "--num_gpus", str(runtime.gpus), *script]


def _on_nodes(runtime: Any, nodes: Sequence[str], port: int) -> list[str]:
    """Build the start of a command that runs on all nodes of a Slurm job, with torchrun on each node.

    DeepSpeed's own launcher would need ssh between the nodes. DeepSpeed itself reads ranks and addresses from the
    environment variables that torchrun sets.
    """
    if len(nodes) != runtime.nodes:
        raise TrainingError(
            f"training.runtime.nodes is {runtime.nodes}, but this Slurm job has {len(nodes)} nodes. Without Slurm, "
            "training.runtime.hostfile has to name them (DeepSpeed's host file)."
        )
    gpus = str(runtime.gpus)
    # This process is on the first node, because a job of several nodes starts there (rules/training.smk).
    meet = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{socket.gethostname()}:{port}", "--rdzv-id", str(port)]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", str(runtime.nodes), *meet]
    return [*step_on_nodes(runtime.nodes, runtime.gpus), *torchrun, "--nproc-per-node", gpus, "--max-restarts", "0"]


def merge_command(settings: Any, *, model: str, adapter: str, output: str) -> list[str]:
    """Build the command that merges a LoRA adapter into its base model, in one process."""
    start = [sys.executable, str(LAUNCHER), *(["--cpu"] if settings.runtime.launcher == "cpu" else []), MERGE]
    paths = ["--model_path", model, "--lora_path", adapter, "--output_path", output]
    return [*start, *paths, "--ds.param_dtype", settings.param_dtype]


def environment(base: Mapping[str, str], cache: Path | None, threads: int | None = None) -> dict[str, str]:
    """Return the environment of the trainer, with unbuffered output and the data-set cache in ``cache``."""
    ours = {"PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}
    ours |= {"HF_DATASETS_CACHE": str(cache)} if cache else {}
    ours |= {"OMP_NUM_THREADS": str(threads)} if threads else {}
    return {name: value for name, value in step_environment(base).items() if not name.startswith("TQDM_")} | ours


def start_process(
    arguments: list[str], folder: Path, environment: Mapping[str, str], keep: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    """Start a process that keeps the file descriptors ``keep`` open."""
    return subprocess.Popen(
        arguments, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=environment, pass_fds=keep,
    )  # fmt: skip


def run(
    arguments: list[str],
    folder: Path,
    attempt: Path,
    read: Callable[[str], None],
    lock: int | None = None,
    threads: int | None = None,
    start: Callable[..., Any] = start_process,
) -> None:
    """Run a command in a folder; copy its output immediately to ``attempt``, standard output and ``read``.

    Parameters
    ----------
    folder : Path
        Working directory.
    attempt : Path
        File for the raw output, from which the table of steps is parsed.
    read : callable
        Called with every line; each update of a progress bar is a line.
    lock : int, optional
        File descriptor that the process keeps open, so that a trainer whose parent was killed still holds the lock.
    threads : int, optional
        Number of CPU threads.
    start : callable
        Starts the process, like :func:`start_process`.

    Raises
    ------
    TrainingError
        The command failed; the message has the last lines of output, and the remedy if the cause is known.
    """
    with open(attempt, "ab") as file:
        variables = environment(os.environ, folder.resolve() / "cache", threads)
        process = start(arguments, folder, variables, () if lock is None else (lock,))
        try:
            for line in _lines(process.stdout, file):
                read(line)
            code = process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if code:
        raise TrainingError(explain(code, attempt, folder))


def _lines(stream: IO[bytes], copy: IO[bytes]) -> Iterator[str]:
    """Yield the lines of a stream, and copy it immediately to a file (raw) and to standard output (as text)."""
    rest = ""
    while chunk := os.read(stream.fileno(), 65536):
        copy.write(chunk)
        copy.flush()
        text = chunk.decode("utf-8", "replace")
        sys.stdout.write(text)
        sys.stdout.flush()
        *lines, rest = re.split(r"[\r\n]", rest + text)
        yield from lines
    yield rest


def explain(code: int, attempt: Path, folder: Path) -> str:
    """Build the message about a failed trainer: known remedies, path of its output and last lines."""
    output = attempt.read_text("utf-8", "replace")
    last = [line for line in re.split(r"[\r\n]+", output) if line.strip()][-TAIL:]
    remedies = [text.format(folder=folder / "checkpoints") for sign, text in REMEDIES if re.search(sign, output)]
    if code in (-9, 137) and not remedies:
        remedies = ["It was killed (signal 9): by a user, by the scheduler, or because the machine ran out of memory."]
    head = [f"OpenRLHF stopped with exit code {code}.", *remedies, "A new run resumes from the last checkpoint."]
    return "\n".join(
        [" ".join(head), f"Its complete output is in {attempt}. The last lines:", *(f"  {x}" for x in last)]
    )
