"""The registry's sections: checkpoints (weights that an engine runs) and models (named uses of them)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
"""A name that is valid in a file path."""


class Section(BaseModel):
    """A section of the configuration; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Decoding(Section):
    """Decoding parameters; with the checkpoint and the messages, they determine a completion."""

    temperature: float = Field(0.0, ge=0, description="0 is greedy")
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int = Field(2048, ge=1)
    beam_size: int | None = Field(None, ge=1)
    stop: list[str] | None = None


class Price(Section):
    """Price in US dollars per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)


class Runtime(Section):
    """How a checkpoint is run. These options do not change completions, so changing them makes no file stale."""

    gpus: int = Field(0, ge=0, description="GPUs of an engine; 0 runs on CPU")
    device: Literal["auto", "cpu"] = Field(
        "auto", description="cpu: run on CPU even if GPUs are requested, to test a cluster with small models"
    )
    tensor_parallel: int = Field(1, ge=1)
    memory_fraction: float = Field(0.9, gt=0, le=1, description="share of GPU memory that an engine may use")
    max_model_len: int | None = Field(
        None, ge=1, description="context length in tokens; by default the model's maximum"
    )
    max_num_seqs: int | None = Field(
        None,
        ge=1,
        description="maximum number of sequences (or beams) in a forward pass; in a beam search by default 256",
    )
    kv_cache_gb: float = Field(1, gt=0, description="on CPU: size of the key-value cache of vLLM or a beam search")
    shards: int = Field(1, ge=1, description="number of engines per batch, each with its own `gpus` GPUs")
    nodes: int = Field(1, ge=1, description="number of cluster nodes among which the shards of a batch are divided")
    batch_tokens: int = Field(4096, ge=1, description="seq2seq: tokens per forward pass")
    threads: int = Field(1, ge=1, description="CPU threads of an engine")
    concurrency: int = Field(16, ge=1, description="openai: maximum number of concurrent requests")
    batch_api: bool = Field(
        False,
        description="openai: send the requests as files to the Batch API, which costs half of `price` and takes up to "
        "24 hours; an interrupted run collects its batches later",
    )
    max_retries: int = Field(6, ge=0)
    timeout_s: float = Field(120, gt=0)
    flush_s: float = Field(1, gt=0, description="interval between two writes to the row store, in seconds")
    max_error_share: float = Field(
        0.05, ge=0, le=1, description="a batch fails if a larger share of its requests failed"
    )
    memory_gb: float = Field(8, gt=0, description="main memory of an engine")
    hours: float = Field(4, gt=0, description="time limit of a batch on a cluster")

    def of_batch(self, resource: Literal["gpus", "threads", "memory_gb"]) -> float:
        """Return the amount of a resource that all engines of a batch use together."""
        return self.shards * getattr(self, resource)

    def of_node(self, resource: Literal["threads", "memory_gb"]) -> float:
        """Return the amount of a resource that the engines of a batch use on each node."""
        return -(-self.shards // self.nodes) * getattr(self, resource)


class Checkpoint(Section):
    """Weights that an engine can run."""

    engine: Literal["vllm", "seq2seq", "openai"] = Field(
        description="vllm: a decoder (beam search runs on transformers); seq2seq: an encoder-decoder on CTranslate2; "
        "openai: an API"
    )
    path: str = Field(description="repository on the Hub, local folder (starts with '.', '/' or exists), or API model")
    revision: str | None = Field(None, description="commit on the Hub; local folders are identified by their content")
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    languages: dict[str, str] | Literal["nllb"] | None = Field(
        None, description="seq2seq: language codes, e.g. {de: deu_Latn}; nllb: those of resources/languages.yaml"
    )
    chat_template: str | None = Field(None, description="Jinja template, needed if the tokenizer has none")
    system_role: Literal["keep", "merge"] | None = Field(
        None,
        description="system messages of prompts: keep them, or merge them into the first turn of the user; by default, "
        "an API keeps them, and other models if their chat template writes them",
    )
    reasoning: Literal["strip", "keep", "off"] | None = Field(
        None,
        description="what to do with reasoning before an answer (<think>...</think>, reasoning_content): strip it, "
        "keep it in the text, or turn it off with the template's enable_thinking; by default, texts are not changed",
    )
    trust_remote_code: bool = False
    gated: bool = False
    license: str = "unknown"
    parameters: float | None = Field(None, gt=0, description="parameter count, for estimates")
    weights_gb: float | None = Field(None, gt=0, description="size of the weights, if they are quantised")
    base_url: str | None = Field(None, description="openai: address of the endpoint")
    api_key_env: str = Field("OPENAI_API_KEY", description="openai: environment variable with the key")
    limit_field: Literal["max_tokens", "max_completion_tokens"] | None = Field(
        None,
        description="openai: name of the parameter that limits the number of tokens; by default max_completion_tokens "
        "for OpenAI and max_tokens for other servers",
    )
    extra_body: dict[str, Any] | None = Field(
        None,
        description="openai: additional request fields, e.g. {reasoning_effort: low}; null omits a field, e.g. "
        "{temperature: null}. They are part of a request's identity",
    )
    price: Price | None = None
    max_cost_usd: float | None = Field(
        None, ge=0, description="openai: maximum cost of a batch over all its runs; requires `price`"
    )
    runtime: Runtime = Runtime()

    @property
    def is_local(self) -> bool:
        """Whether ``path`` is a local folder, identified by its content, and not a name on the Hub or an API."""
        named_as_path = self.path.startswith((".", "/")) or self.path.count("/") > 1
        return self.engine != "openai" and (named_as_path or Path(self.path).is_dir())

    def code_of(self, language: str, nllb: str | None) -> str | None:
        """Return the checkpoint's own code of a language; ``nllb`` is the language's code in NLLB-200."""
        return nllb if self.languages == "nllb" else (self.languages or {}).get(language)


class Model(Section):
    """A named use of a checkpoint as a translator or a generator."""

    checkpoint: str | dict[str, str] = Field(description="a checkpoint, or one per language")
    prompt: str | None = Field(
        None,
        description="translation prompt: x-alma, tower, instruct, text (the text alone, NLLB), or a template with "
        "{text} and {language}",
    )
    split: Literal["none", "lines", "sentences"] = Field(
        "none", description="unit of translation: the whole text, a line or a sentence"
    )
    languages: list[str] | None = Field(None, description="supported languages; by default all")
    decoding: Decoding = Decoding()
