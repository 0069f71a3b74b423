"""The configuration: one pydantic model per section of the YAML file; the registry is :mod:`polypref.config.registry`.

The JSON schema in ``config/schema.json`` is generated from these classes (``make schema``), and a test fails if it is
out of date. Cross-checks between sections are in :mod:`polypref.config.loading`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from polypref.config.diagnostics import RATED_FLAGS, Diagnostics
from polypref.config.health import Health
from polypref.config.judging import Judging
from polypref.config.native_prompts import NativePrompts
from polypref.config.rating import Rating
from polypref.config.registry import Checkpoint, Model, Name, Section
from polypref.config.test_sets import Evaluation, Wmt
from polypref.config.training import Training

ENGLISH = "en"


CONVERSATIONAL = {"chatbot_arena": "single", "helpsteer2": "single", "preference": "any"}
"""Formats of sources that have conversations, and the default of their option ``turns``."""


class Source(Section):
    """A preference set: a local file or a data set on the Hub."""

    format: Literal["chatbot_arena", "helpsteer2", "tasksource", "gutenberg", "math_step", "preference"] = Field(
        "preference",
        description="column format of the set; 'preference' is TRL's standard or conversational format",
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
        description="for unusable rows (empty response, no list of messages): stop with an error, or drop and count "
        "them",
    )
    turns: Literal["single", "any"] | None = Field(
        None,
        description="'any' keeps prompts with a system message or several turns, 'single' drops and counts them; by "
        "default 'any' for preference, 'single' for chatbot_arena and helpsteer2. Other formats have no conversations",
    )
    license: str = Field("unknown", description="licence of the data, for the data set card")

    @property
    def has_conversations(self) -> bool:
        """Whether prompts with a system message or several turns are kept."""
        return (self.turns or CONVERSATIONAL.get(self.format)) == "any"

    def reading(self) -> dict[str, Any]:
        """The options that determine the pairs; newer ones only if they are set, so that older results stay valid."""
        unset = {name for name in ("turns", "columns") if getattr(self, name) is None}
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
    contaminated: Literal["drop", "keep"] = Field(
        "drop",
        description="pairs whose prompt matches a prompt of the evaluation set, in any of its languages: leave them "
        "out, or keep them and only report them. A prompt matches if it is equal after normalisation, has a 13-gram in "
        "common or contains 70% of the evaluation prompt's 8-grams",
    )


class Translate(Section):
    """A translation of the English text."""

    translate: Name = Field(description="a translator from the registry's models")


class Generate(Section):
    """A response that a model generates to the prompt."""

    generate: Name = Field(description="a generator from the registry's models")


class Native(Section):
    """A prompt that was written in the language."""

    native: Name = Field(description="a set of prompts from the section `native`")


class Architecture(Section):
    """The origin of the prompt, chosen and rejected texts. English is never translated: the original text is kept."""

    prompt: Literal["english"] | Translate | Native = Field(
        description="'english', {translate: MODEL} or {native: NAME of a set in `native`}"
    )
    chosen: Literal["english"] | Translate | Generate = Field(
        description="'english', {translate: MODEL} or {generate: MODEL}"
    )
    rejected: Literal["english"] | Translate | Generate = Field(
        description="'english', {translate: MODEL} or {generate: MODEL}"
    )


class Report(Section):
    """The title of the report, the comparison with the paper, and how much of a large run can be read in it."""

    title: str = "Synthetic multilingual preference data"
    subtitle: str = ""
    paper: bool = Field(False, description="compare the results with the published numbers")
    shown_pairs: int = Field(
        200_000,
        ge=1,
        description="rows in the reader: each pair in English, and in each language of each architecture. If there are "
        "more, the reader shows a random sample of the pairs, the same in every language; the tables count all",
    )
    shown_verdicts: int = Field(
        200_000,
        ge=1,
        description="verdicts in the verdict browser. If there are more, it shows those on a random sample of the "
        "prompts, the same in every language; the tables count all",
    )


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
        "training of this workflow uses all items",
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
    native: dict[Name, NativePrompts] = Field({}, description="sets of prompts written in the languages themselves")
    sampling: Sampling = Sampling()
    architectures: dict[Name, Architecture] = Field(min_length=1)
    diagnostics: Diagnostics = Diagnostics()
    rating: Rating = Rating()
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

    @property
    def dropped_flags(self) -> list[str]:
        """The flags for which a pair is left out, in alphabetical order; those of ratings only if there is a rater."""
        flags = self.diagnostics.dropped_flags
        return flags if self.rating.is_on else [flag for flag in flags if flag not in RATED_FLAGS]

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
        if "native" in shown:
            shown["native"] = dict(sorted(shown["native"].items()))
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
    length_ratio: float | None = Field(
        None, gt=0, description="characters of a translation per character of its English source"
    )

    def of_data(self) -> dict[str, Any]:
        """The fields that decide which rows are read from the data sets."""
        return self.model_dump(exclude={"nllb", "length_ratio"})


def json_schema() -> dict[str, Any]:
    """JSON schema of the configuration file."""
    return Config.model_json_schema()
