"""Options of training: DPO's loss, the optimiser, held-out pairs, seeds, LoRA and how training is run."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from polypref.config.registry import Name, Section

OPTIONAL = (
    "loss", "label_smoothing", "nll_coefficient", "liger_kernel", "weight_decay", "adam_betas", "held_out",
)  # fmt: skip
"""Options that identify a training only if they are not at their defaults, so that older trainings keep their ids."""


class Lora(Section):
    """LoRA adapters, trained instead of all weights."""

    rank: int = Field(16, ge=1)
    alpha: int = Field(16, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: str | list[str] = "all-linear"


class TrainingRuntime(Section):
    """How training is run. Changing these options does not make any file stale."""

    launcher: Literal["deepspeed", "cpu"] = "deepspeed"
    gpus: int = Field(8, ge=0, description="GPUs per node")
    nodes: int = Field(1, ge=1)
    hostfile: str | None = Field(None, description="DeepSpeed host file, for more than one node")
    save_steps: int = Field(50, ge=-1, description="steps between resumable checkpoints")
    tensorboard: bool = Field(
        True,
        description="write event files for TensorBoard to `policies/{policy}/tensorboard/`; with WANDB_API_KEY in the "
        "environment, OpenRLHF logs to Weights & Biases instead",
    )
    threads: int = Field(1, ge=1)
    memory_gb: float = Field(64, gt=0)
    hours: float = Field(24, gt=0)


class Training(Section):
    """Direct preference optimisation (DPO) with OpenRLHF."""

    base: Name = Field(description="checkpoint that is trained")
    learning_rate: float = Field(5e-6, gt=0)
    lr_scheduler: str = "cosine_with_min_lr"
    warmup_ratio: float = Field(0.03, ge=0, le=1)
    max_norm: float = Field(1.0, gt=0, description="gradient clipping")
    beta: float = Field(0.1, gt=0)
    loss: Literal["dpo", "ipo"] = Field("dpo", description="'ipo': the squared loss of Azar et al. (2023)")
    label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="assumed share of pairs whose answers are swapped (cDPO); only with loss 'dpo'"
    )
    nll_coefficient: float = Field(0.0, ge=0, description="weight of the chosen answer's NLL (per token) in the loss")
    weight_decay: float = Field(0.0, ge=0, description="AdamW's")
    adam_betas: list[float] = Field(
        [0.9, 0.95], min_length=2, max_length=2, description="AdamW's decay rates of both moments, each below 1"
    )
    batch_size: int = Field(128, ge=1)
    micro_batch_size: int = Field(1, ge=1)
    epochs: int = Field(1, ge=1)
    max_length: int = Field(4096, ge=1, description="tokens of prompt plus response")
    held_out: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the items, with all their languages, that are not trained on; loss and accuracy on them "
        "are measured during training",
    )
    held_out_seed: int = Field(1, description="selects the held-out items, which are the same for all architectures")
    seed: int = 42
    seeds: list[int] | None = Field(
        None,
        min_length=1,
        description="train each architecture once per seed; each of these policies answers and is judged. By default, "
        "only `seed` is used. Its policy has the architecture's name (`A`); that of seed 1 is named `A.s1`",
    )
    zero_stage: Literal[0, 1, 2, 3] = 3
    gradient_checkpointing: bool = True
    adam_offload: bool = False
    ref_offload: bool = False
    attn_implementation: Literal["auto", "eager", "sdpa", "flash_attention_2"] = Field(
        "auto", description="'auto': flash_attention_2 on GPUs where flash-attn is installed, else sdpa"
    )
    liger_kernel: bool = Field(
        False, description="Liger's fused kernels, on GPUs; needs the package liger-kernel (not in the lock files)"
    )
    param_dtype: Literal["bf16", "fp16"] = "bf16"
    lora: Lora | None = None
    overlong: Literal["error", "drop", "cut"] = "drop"
    runtime: TrainingRuntime = TrainingRuntime()

    @property
    def all_seeds(self) -> list[int]:
        return sorted(self.seeds) if self.seeds else [self.seed]

    def recipe(self) -> dict[str, Any]:
        """The options other than `runtime` and `seeds`; those of `OPTIONAL` only if they differ from their defaults."""
        fields = type(self).model_fields
        unset = {name for name in OPTIONAL if getattr(self, name) == fields[name].default}
        unset |= {"held_out_seed"} if "held_out" in unset else set()
        return self.model_dump(exclude={"runtime", "seeds", *unset})
