"""The configuration: one pydantic model per section of the YAML file; the registry is :mod:`polypref.config.registry`.

The JSON schema in ``config/schema.json`` is generated from these classes (``make schema``) and a test fails when they
drift. Cross-checks between sections are in :mod:`polypref.config.loading`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from polypref.config.registry import Checkpoint, Decoding, Model, Name, Section

LOCAL_SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")
ENGLISH = "en"


class Source(Section):
    """A preference set: a file of one's own or a data set on the Hub."""

    format: Literal["chatbot_arena", "helpsteer2", "tasksource", "gutenberg", "math_step", "preference"] = Field(
        "preference", description="columns of the set; 'preference' is TRL's standard or conversational format"
    )
    path: str = Field(description="local .jsonl, .json, .csv or .parquet file, or the name of a data set on the Hub")
    subset: str | None = Field(None, description="configuration name on the Hub")
    split: str = "train"
    revision: str | None = Field(None, description="commit on the Hub")
    gated: bool = Field(False, description="needs HF_TOKEN and an accepted licence")
    bad_rows: Literal["error", "drop"] = Field(
        "error",
        description="what an unusable row does (empty response, several turns): stop, or be left out and counted",
    )
    license: str = Field("unknown", description="licence of the data, for the data set card")


class Sampling(Section):
    """The English base set."""

    items: int = Field(1250, ge=1, description="pairs in the base set, taken evenly over the sources")
    seed: int = 1
    max_tokens: int = Field(
        2048, ge=1, description="longest prompt plus longer response, in tokens of the trainee with its chat template"
    )


class Translate(Section):
    translate: Name = Field(description="a translator from the registry's models")


class Generate(Section):
    generate: Name = Field(description="a generator from the registry's models")


class Architecture(Section):
    """Where prompt, chosen and rejected come from. In English nothing is translated: the original text is kept."""

    prompt: Literal["english"] | Translate = Field(description="'english' or {translate: MODEL}")
    chosen: Literal["english"] | Translate | Generate = Field(
        description="'english', {translate: MODEL} or {generate: MODEL}"
    )
    rejected: Literal["english"] | Translate | Generate = Field(
        description="'english', {translate: MODEL} or {generate: MODEL}"
    )


Flag = Literal[
    "prompt_wrong_language", "prompt_copies_source", "prompt_truncated", "prompt_repeats",
    "chosen_wrong_language", "chosen_copies_prompt", "chosen_copies_source", "chosen_truncated", "chosen_repeats",
    "rejected_wrong_language", "rejected_copies_prompt", "rejected_copies_source", "rejected_truncated",
    "rejected_repeats", "chosen_equals_rejected",
]  # fmt: skip
"""What :mod:`polypref.datasets.diagnostics` may find in a pair."""


class Diagnostics(Section):
    """What is looked for in every pair, and which pairs are left out for it."""

    drop: list[Flag] = Field(
        ["chosen_equals_rejected"],
        description="flags for which a pair is left out; one with a text that could not be made always is",
    )


class Wmt(Section):
    """WMT24++, on which the translators are scored."""

    path: str = Field("google/wmt24pp", description="Hub name, or local files with {config} in the name, e.g. en-de_DE")
    revision: str | None = None
    translators: list[Name] = Field([], description="models that are scored")
    segments: int | None = Field(None, ge=1, description="seeded subset of the segments; all by default")
    license: str = "apache-2.0"
    comet: str | None = Field(
        None, description="COMET checkpoint (a .ckpt file, or a name on the Hub): scores beside BLEU and chrF++"
    )


class Evaluation(Section):
    """The prompts that policies and opponents answer, and how."""

    path: str = Field(
        "CohereLabs/aya_evaluation_suite", description="Hub name, or local files with {config} and {iso} in the name"
    )
    revision: str | None = None
    prompts_per_language: int = Field(150, ge=1)
    seed: int = 1
    opponents: list[Name] = Field(min_length=1, description="checkpoints that the policies are judged against")
    decoding: Decoding = Decoding(temperature=0.3, max_tokens=2048)


class Lora(Section):
    rank: int = Field(16, ge=1)
    alpha: int = Field(16, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: str | list[str] = "all-linear"


class TrainingRuntime(Section):
    """How training is run. Nothing here makes a file stale."""

    launcher: Literal["deepspeed", "cpu"] = "deepspeed"
    gpus: int = Field(8, ge=0, description="GPUs per node")
    nodes: int = Field(1, ge=1)
    hostfile: str | None = Field(None, description="DeepSpeed's host file, for more than one node")
    save_steps: int = Field(50, ge=-1, description="steps between two resumable checkpoints")
    threads: int = Field(1, ge=1)
    memory_gb: float = Field(64, gt=0)
    hours: float = Field(24, gt=0)


class Training(Section):
    """Direct preference optimisation with OpenRLHF."""

    base: Name = Field(description="checkpoint that is trained")
    learning_rate: float = Field(5e-6, gt=0)
    lr_scheduler: str = "cosine_with_min_lr"
    warmup_ratio: float = Field(0.03, ge=0, le=1)
    max_norm: float = Field(1.0, gt=0, description="gradient clipping")
    beta: float = Field(0.1, gt=0)
    batch_size: int = Field(128, ge=1)
    micro_batch_size: int = Field(1, ge=1)
    epochs: int = Field(1, ge=1)
    max_length: int = Field(4096, ge=1, description="tokens of prompt plus response")
    seed: int = 42
    zero_stage: Literal[0, 1, 2, 3] = 3
    gradient_checkpointing: bool = True
    adam_offload: bool = False
    ref_offload: bool = False
    attn_implementation: Literal["eager", "sdpa", "flash_attention_2"] = "flash_attention_2"
    param_dtype: Literal["bf16", "fp16"] = "bf16"
    lora: Lora | None = None
    overlong: Literal["error", "drop", "cut"] = "drop"
    runtime: TrainingRuntime = TrainingRuntime()


class SecondJudge(Section):
    """Another judge that compares the same answers, to see whether the verdicts hang on the first one."""

    judge: Name = Field(description="checkpoint of a judge of another family than the first")
    decoding: Decoding = Decoding(temperature=0.0, max_tokens=20)
    share: float = Field(1.0, gt=0, le=1, description="share of the prompts, drawn with the seed, that it judges")


class Judging(Section):
    """How two answers are compared."""

    judge: Name = Field(description="checkpoint of the judge")
    prompt: str = Field(
        "resources/prompts/judge.txt", description="file with {language}, {prompt}, {answer_a}, {answer_b}"
    )
    decoding: Decoding = Decoding(temperature=0.0, max_tokens=20)
    mode: Literal["balanced", "paper"] = Field("balanced", description="both orders as they are, or random-order runs")
    runs: int = Field(
        5,
        ge=1,
        description="random-order runs in mode 'paper': looked up from both orders, or sampled above temperature 0",
    )
    seed: int = 1
    second: SecondJudge | None = Field(None, description="second judge; its agreement with the first is reported")

    @property
    def counting(self) -> str:
        """What counts as a run (:func:`.judgements`): ``balanced``, ``paper`` or ``sampled``."""
        return "sampled" if self.mode == "paper" and self.decoding.temperature > 0 else self.mode


class Report(Section):
    title: str = "Synthetic multilingual preference data"
    subtitle: str = ""
    paper: bool = Field(False, description="set the published numbers beside ours")


class Figures(Section):
    """How figures look. A change draws them again, and makes the report anew."""

    style: str = Field("resources/figures.mplstyle", description="matplotlib style file: fonts, colours, resolution")


class Machines(Section):
    """The machines that jobs run on: for `estimate`, and for `preflight` where they are others than this one."""

    gpus: int | None = Field(None, ge=0, description="GPUs of a node")
    gpu_memory_gb: float | None = Field(None, gt=0, description="memory of one GPU, in GB")
    gpu_tflops: float | None = Field(None, gt=0, description="16-bit peak of one GPU in TFLOP/s; by default 400")


class Config(Section):
    """The whole configuration file, with its registry."""

    results: str = Field("results", description="folder that everything is built in")
    registry: str = Field("resources/models.yaml", description="file with checkpoints and models")
    checkpoints: dict[Name, Checkpoint] = Field({}, description="checkpoints beside the registry's, or instead")
    models: dict[Name, Model] = Field({}, description="models beside the registry's, or instead")
    languages: list[str] = Field(min_length=1, description="ISO 639-1 codes of resources/languages.yaml")
    sources: dict[Name, Source] = Field(min_length=1)
    sampling: Sampling = Sampling()
    architectures: dict[Name, Architecture] = Field(min_length=1)
    diagnostics: Diagnostics = Diagnostics()
    wmt: Wmt = Wmt()
    training: Training
    evaluation: Evaluation
    judging: Judging
    report: Report = Report()
    figures: Figures = Figures()
    runtime: Machines = Machines()

    @property
    def targets(self) -> list[str]:
        """All languages but English, in alphabetical order: the order in a config makes nothing stale."""
        return sorted(set(self.languages) - {ENGLISH})

    @property
    def all_languages(self) -> list[str]:
        """English first where it is asked for, then the others in alphabetical order."""
        return [ENGLISH] * (ENGLISH in self.languages) + self.targets

    def policy_checkpoint(self, policy: str) -> Checkpoint:
        """Registry entry by which a policy or an opponent is run; a trained variant runs as its base does."""
        name = self.training.base if policy == "base" or policy in self.architectures else policy
        return self.checkpoints[name]

    def shown(self) -> dict[str, Any]:
        """The configuration as the report shows it: what was set and determines results, nothing of how it was run.

        In a fixed order, so that another order in the file makes no report stale.
        """
        shown = _without_runtime(self.model_dump(mode="json", exclude_unset=True, exclude_none=True))
        shown["languages"] = self.all_languages
        for section, names in (("wmt", "translators"), ("evaluation", "opponents")):
            if names in shown.get(section, {}):
                shown[section][names] = sorted(set(shown[section][names]))
        for names in ("checkpoints", "models", "sources", "architectures"):
            shown[names] = dict(sorted(shown.get(names, {}).items()))
        return shown


def _without_runtime(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_runtime(entry) for key, entry in value.items() if key != "runtime"}
    return value


class Language(Section):
    """One language of ``resources/languages.yaml``."""

    name: str = Field(description="English name, as it stands in prompts")
    endonym: str
    iso639_3: str = Field(description="code in the Aya suite")
    script: str = Field(description="ISO 15924 code in the Aya suite")
    wmt24pp: str | None = Field(None, description="target code in WMT24++, e.g. de_DE")
    bleu_tokenizer: Literal["13a", "zh", "ja-mecab", "ko-mecab", "flores200"] = "13a"
    direction: Literal["ltr", "rtl"] = "ltr"


def is_local_data(path: str) -> bool:
    """Whether a data path is a file of one's own rather than the name of a data set on the Hub.

    It is one where it exists, and by a data file's ending, even below another one (``pairs.jsonl.gz``).
    """
    return Path(path).is_file() or not set(Path(path).suffixes).isdisjoint(LOCAL_SUFFIXES)


def json_schema() -> dict[str, Any]:
    """JSON schema of the configuration file."""
    return Config.model_json_schema()
