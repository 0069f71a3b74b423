"""The configuration: one pydantic model per section of the YAML file; the registry is :mod:`polypref.config.registry`.

The JSON schema in ``config/schema.json`` is generated from these classes (``make schema``), and a test fails if it is
out of date. Cross-checks between sections are in :mod:`polypref.config.loading`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from polypref.config.diagnostics import Diagnostics
from polypref.config.health import Health
from polypref.config.judging import Judging
from polypref.config.registry import Checkpoint, Model, Name, Section
from polypref.config.test_sets import Evaluation, Wmt

ENGLISH = "en"


class Source(Section):
    """A preference set: a local file or a data set on the Hub."""

    format: Literal["chatbot_arena", "helpsteer2", "tasksource", "gutenberg", "math_step", "preference"] = Field(
        "preference", description="column format of the set; 'preference' is TRL's standard or conversational format"
    )
    path: str | list[str] = Field(
        description="local .jsonl, .json, .csv (each also .gz or .zst) or .parquet file, a folder, a pattern (*.jsonl) "
        "or a list of these; or the name of a data set on the Hub"
    )
    columns: dict[str, str] | None = Field(
        None, description="columns with other names than the format's, e.g. {prompt: question}"
    )
    subset: str | None = Field(None, description="configuration name on the Hub")
    split: str = "train"
    revision: str | None = Field(None, description="commit on the Hub")
    gated: bool = Field(False, description="needs HF_TOKEN and an accepted licence")
    bad_rows: Literal["error", "drop"] = Field(
        "error",
        description="for unusable rows (empty response, several turns): stop with an error, or drop and count them",
    )
    license: str = Field("unknown", description="licence of the data, for the data set card")

    def reading(self) -> dict[str, Any]:
        """The options that determine the pairs; new ones only if they are set, so that older results are not stale."""
        unset = {"columns"} if self.columns is None else set()
        return self.model_dump(exclude={"license", "gated"} | unset)


class Sampling(Section):
    """The English base set."""

    items: int = Field(1250, ge=1, description="pairs in the base set, split evenly among the sources")
    seed: int = 1
    max_tokens: int = Field(
        2048,
        ge=1,
        description="maximum length of the prompt plus the longer response, in tokens of the trained model with its "
        "chat template",
    )


class Translate(Section):
    """A translation of the English text."""

    translate: Name = Field(description="a translator from the registry's models")


class Generate(Section):
    """A response that a model generates to the prompt."""

    generate: Name = Field(description="a generator from the registry's models")


class Architecture(Section):
    """The origin of the prompt, chosen and rejected texts. English is never translated: the original text is kept."""

    prompt: Literal["english"] | Translate = Field(description="'english' or {translate: MODEL}")
    chosen: Literal["english"] | Translate | Generate = Field(
        description="'english', {translate: MODEL} or {generate: MODEL}"
    )
    rejected: Literal["english"] | Translate | Generate = Field(
        description="'english', {translate: MODEL} or {generate: MODEL}"
    )


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
    batch_size: int = Field(128, ge=1)
    micro_batch_size: int = Field(1, ge=1)
    epochs: int = Field(1, ge=1)
    max_length: int = Field(4096, ge=1, description="tokens of prompt plus response")
    seed: int = 42
    zero_stage: Literal[0, 1, 2, 3] = 3
    gradient_checkpointing: bool = True
    adam_offload: bool = False
    ref_offload: bool = False
    attn_implementation: Literal["auto", "eager", "sdpa", "flash_attention_2"] = Field(
        "auto", description="'auto': flash_attention_2 on GPUs where flash-attn is installed, else sdpa"
    )
    param_dtype: Literal["bf16", "fp16"] = "bf16"
    lora: Lora | None = None
    overlong: Literal["error", "drop", "cut"] = "drop"
    runtime: TrainingRuntime = TrainingRuntime()


class Report(Section):
    """The title of the report, and the comparison with the paper."""

    title: str = "Synthetic multilingual preference data"
    subtitle: str = ""
    paper: bool = Field(False, description="compare the results with the published numbers")


class Figures(Section):
    """The appearance of the figures. A change redraws them and rebuilds the report."""

    style: str = Field("resources/figures.mplstyle", description="matplotlib style file: fonts, colours, resolution")


class Export(Section):
    """The folder of each data set (``datasets/NAME/``), as other tools load it."""

    test_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the items in a split `test`, the same items in every language and architecture; the "
        "training of this workflow uses all",
    )


class Machines(Section):
    """The machines that jobs run on; used by `estimate`, and by `preflight` if jobs run on other machines."""

    gpus: int | None = Field(None, ge=0, description="GPUs per node")
    gpu_memory_gb: float | None = Field(None, gt=0, description="memory of one GPU, in GB")
    gpu_tflops: float | None = Field(
        None, gt=0, description="16-bit peak performance of one GPU in TFLOP/s; 400 by default"
    )


class Config(Section):
    """The configuration file, merged with its registry."""

    results: str = Field("results", description="folder for all results")
    registry: str = Field("resources/models.yaml", description="file that defines checkpoints and models")
    checkpoints: dict[Name, Checkpoint] = Field({}, description="checkpoints that extend or override the registry's")
    models: dict[Name, Model] = Field({}, description="models that extend or override the registry's")
    languages: list[str] = Field(min_length=1, description="codes from resources/languages.yaml, e.g. de, fil or pt-PT")
    sources: dict[Name, Source] = Field(min_length=1)
    sampling: Sampling = Sampling()
    architectures: dict[Name, Architecture] = Field(min_length=1)
    diagnostics: Diagnostics = Diagnostics()
    wmt: Wmt = Wmt()
    export: Export = Export()
    training: Training
    evaluation: Evaluation
    judging: Judging
    health: Health = Health()
    report: Report = Report()
    figures: Figures = Figures()
    runtime: Machines = Machines()

    @property
    def targets(self) -> list[str]:
        """All languages except English, sorted, so that their order in the configuration does not make files stale."""
        return sorted(set(self.languages) - {ENGLISH})

    @property
    def all_languages(self) -> list[str]:
        """English first if it is configured, then the other languages in alphabetical order."""
        return [ENGLISH] * (ENGLISH in self.languages) + self.targets

    def shown(self) -> dict[str, Any]:
        """The configuration as the report shows it: the explicitly set options without ``runtime``.

        The order is fixed, so that reordering the file does not make the report stale.
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

    name: str = Field(description="English name, as used in prompts")
    endonym: str
    iso639_3: str = Field(description="code in the Aya suite")
    script: str = Field(description="ISO 15924 code in the Aya suite")
    wmt24pp: str | None = Field(None, description="target code in WMT24++, e.g. de_DE")
    bleu_tokenizer: Literal["13a", "zh", "ja-mecab", "ko-mecab", "flores200"] = "13a"
    direction: Literal["ltr", "rtl"] = "ltr"
    nllb: str | None = Field(None, description="code in NLLB-200's tokenizer, e.g. deu_Latn")

    def of_data(self) -> dict[str, Any]:
        """The fields that decide which rows are read from the data sets."""
        return self.model_dump(exclude={"nllb"})


def json_schema() -> dict[str, Any]:
    """JSON schema of the configuration file."""
    return Config.model_json_schema()
