"""The configuration: one pydantic model per section of the YAML file, and the registry of checkpoints and models.

The JSON schema in ``config/schema.json`` is generated from these classes (``make schema``) and a test fails when they
drift. Cross-checks between sections are in :mod:`polypref.config_checks`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

LOCAL_SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")
ENGLISH = "en"
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
"""A name that can stand in a file path."""


class Section(BaseModel):
    """A section of the configuration; a key that it does not have is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Section):
    """A preference set: a file of one's own or a data set on the Hub."""

    format: Literal["chatbot_arena", "helpsteer2", "tasksource", "gutenberg", "math_step", "preference"] = Field(
        "preference", description="columns of the set; 'preference' is TRL's standard or conversational format"
    )
    path: str = Field(description="local .jsonl, .csv or .parquet file, or the name of a data set on the Hub")
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


class Decoding(Section):
    """What determines an answer besides the checkpoint and the messages."""

    temperature: float = Field(0.0, ge=0, description="0 is greedy")
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int = Field(2048, ge=1)
    beam_size: int | None = Field(None, ge=1)
    stop: list[str] | None = None


class Price(Section):
    """US dollars per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)


class Runtime(Section):
    """How a checkpoint is run. Nothing here changes an answer, so nothing here makes a file stale."""

    gpus: int = Field(0, ge=0, description="GPUs of a batch; 0 runs on CPU")
    tensor_parallel: int = Field(1, ge=1)
    memory_fraction: float = Field(0.9, gt=0, le=1, description="share of GPU memory that vLLM may take")
    max_model_len: int | None = Field(None, ge=1, description="tokens; by default what the longest request needs")
    max_num_seqs: int | None = Field(None, ge=1)
    kv_cache_gb: float = Field(1, gt=0, description="vLLM on CPU: memory for the key-value cache")
    batch_tokens: int = Field(4096, ge=1, description="seq2seq: tokens per forward pass")
    threads: int = Field(1, ge=1, description="CPU threads of a batch")
    concurrency: int = Field(16, ge=1, description="openai: requests under way at once")
    max_retries: int = Field(6, ge=0)
    timeout_s: float = Field(120, gt=0)
    flush_s: float = Field(5, gt=0, description="seconds between two writes to the row store")
    memory_gb: float = Field(8, gt=0, description="main memory of a batch")
    hours: float = Field(4, gt=0, description="time limit of a batch on a cluster")


class Checkpoint(Section):
    """Weights that an engine can run."""

    engine: Literal["vllm", "seq2seq", "openai"]
    path: str = Field(description="repository on the Hub, local folder (starts with '.', '/' or exists), or API model")
    revision: str | None = Field(None, description="commit on the Hub; local folders are known by their content")
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    languages: dict[str, str] | None = Field(None, description="seq2seq: language codes, e.g. {de: deu_Latn}")
    chat_template: str | None = Field(None, description="Jinja template, where the tokenizer has none")
    trust_remote_code: bool = False
    gated: bool = False
    license: str = "unknown"
    parameters: float | None = Field(None, gt=0, description="parameter count, for estimates")
    base_url: str | None = Field(None, description="openai: address of the endpoint")
    api_key_env: str = Field("OPENAI_API_KEY", description="openai: environment variable that holds the key")
    price: Price | None = None
    max_cost_usd: float | None = Field(None, gt=0)
    runtime: Runtime = Runtime()

    @property
    def is_local(self) -> bool:
        """Whether ``path`` is a folder, known by its content, rather than a name at the Hub or an API."""
        named_as_path = self.path.startswith((".", "/")) or self.path.count("/") > 1
        return self.engine != "openai" and (named_as_path or Path(self.path).is_dir())


class Model(Section):
    """A named use of a checkpoint as a translator or a generator."""

    checkpoint: str | dict[str, str] = Field(description="a checkpoint, or one per language")
    prompt: Literal["x-alma", "tower", "instruct", "text"] | None = Field(
        None, description="translation prompt; 'text' sends the text alone (NLLB)"
    )
    split: Literal["none", "lines", "sentences"] = Field("none", description="unit that is translated at a time")
    languages: list[str] | None = Field(None, description="languages it serves, where not all")
    decoding: Decoding = Decoding()


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


class Wmt(Section):
    """WMT24++, on which the translators are scored."""

    path: str = Field("google/wmt24pp", description="Hub name, or local files with {config} in the name, e.g. en-de_DE")
    revision: str | None = None
    translators: list[Name] = []
    segments: int | None = Field(None, ge=1, description="seeded subset of the segments; all by default")
    license: str = "apache-2.0"


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


class Judging(Section):
    """How two answers are compared."""

    judge: Name = Field(description="checkpoint of the judge")
    prompt: str = Field(
        "resources/prompts/judge.txt", description="file with {language}, {prompt}, {answer_a}, {answer_b}"
    )
    decoding: Decoding = Decoding(temperature=0.0, max_tokens=20)
    mode: Literal["balanced", "paper"] = Field("balanced", description="both orders as they are, or random-order runs")
    runs: int = Field(5, ge=1, description="random-order runs derived from the two orders in mode 'paper'")
    seed: int = 1


class Report(Section):
    title: str = "Synthetic multilingual preference data"
    subtitle: str = ""
    paper: bool = Field(False, description="set the published numbers beside ours")
    sample_items: int = Field(6, ge=0, description="preference items shown per language")


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
    wmt: Wmt = Wmt()
    training: Training
    evaluation: Evaluation
    judging: Judging
    report: Report = Report()

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
        """The configuration as the report shows it: what was set and determines results, nothing of how it was run."""
        return _without_runtime(self.model_dump(mode="json", exclude_unset=True, exclude_none=True))


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
    """Whether a data path is a file of one's own rather than the name of a data set on the Hub."""
    return Path(path).suffix in LOCAL_SUFFIXES


def json_schema() -> dict[str, Any]:
    """JSON schema of the configuration file."""
    return Config.model_json_schema()
