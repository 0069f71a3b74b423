"""The sections of the configuration for test sets: evaluation prompts, and segments to score the translators on."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from polypref.config.registry import Decoding, Name, Section

LANGUAGE = "{language}"
"""Placeholder for a language code in the path or subset of the user's own test set."""
M_ARENAHARD = {"subset": LANGUAGE, "columns": {"id": "question_id"}}


class OwnSet(Section):
    """Options of test sets other than WMT24++ and the Aya suite."""

    subset: str | None = Field(
        None, description="own sets: configuration name on the Hub, e.g. {language} if there is one per language"
    )
    split: str | None = Field(None, description="own sets: split on the Hub; by default test")
    columns: dict[str, str] | None = Field(
        None, description="own sets: columns with other names, e.g. {prompt: question, id: prompt_id}"
    )

    def own(self, path: str | list[str], code: str, preset: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what to read for a language; ``one_language``: all rows are in this language."""
        preset = preset or {}
        paths = [path] if isinstance(path, str) else path
        filled = [each.replace(LANGUAGE, code) for each in paths]
        subset = self.subset or preset.get("subset")
        return {
            "path": filled[0] if isinstance(path, str) else filled,
            "subset": subset and subset.replace(LANGUAGE, code),
            "split": self.split or "test",
            "columns": {**preset.get("columns", {}), **(self.columns or {})},
            "one_language": any(LANGUAGE in text for text in (*paths, subset or "")),
        }


class Wmt(OwnSet):
    """The test set on which the translators are scored: WMT24++ or one of your own."""

    path: str | list[str] = Field(
        "google/wmt24pp",
        description="Hub name, or local files with {config} in the name, e.g. en-de_DE; for own sets, as in `sources`, "
        "possibly with {language} in the name",
    )
    format: Literal["wmt24pp", "own"] = Field(
        "wmt24pp",
        description="own: columns `source` (English), `reference` (a text or a list of texts; further ones may be in "
        "`reference_2` and so on), `language`, and optionally `document_id` and `domain`",
    )
    revision: str | None = None
    translators: list[Name] = Field([], description="models that are scored")
    languages: list[str] | None = Field(
        None, description="languages to score; by default all for which there is a translator and a test set"
    )
    segments: int | None = Field(
        None, ge=1, description="size of a seeded subset of the segments; by default, all segments"
    )
    license: str = "apache-2.0"
    comet: str | None = Field(
        None, description="COMET checkpoint (a .ckpt file, or a name on the Hub), used in addition to BLEU and chrF++"
    )

    def scores(self, code: str, wmt24pp: str | None) -> bool:
        """Whether translations into a language are scored; ``wmt24pp`` is its target code in WMT24++."""
        return (self.languages is None or code in self.languages) and (self.format == "own" or bool(wmt24pp))


class Evaluation(OwnSet):
    """The evaluation prompts, and how policies and opponents answer them."""

    path: str | list[str] = Field(
        "CohereLabs/aya_evaluation_suite",
        description="Hub name, or local files with {config} and {iso} in the name; for own sets, as in `sources`, "
        "possibly with {language} in the name",
    )
    format: Literal["aya", "m_arenahard", "own"] = Field(
        "aya",
        description="aya: the Aya suite; m_arenahard: a configuration per language; own: columns `prompt` (a text, "
        "or a list of messages), `language`, and optionally `id` (the same for translations of one prompt; without it, "
        "prompts are independent) and `reference`",
    )
    revision: str | None = None
    prompts_per_language: int = Field(150, ge=1)
    seed: int = 1
    opponents: list[Name] = Field(min_length=1, description="checkpoints that the policies are judged against")
    decoding: Decoding = Decoding(temperature=0.3, max_tokens=2048)

    @property
    def has_conversations(self) -> bool:
        """Whether the prompts may be conversations."""
        return self.format == "own"

    def own_prompts(self, code: str) -> dict[str, Any]:
        """Return what to read for a language, unless the format is the Aya suite's."""
        return self.own(self.path, code, M_ARENAHARD if self.format == "m_arenahard" else None)
