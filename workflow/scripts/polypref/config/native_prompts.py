"""The section ``native``: sets of prompts that were written in the languages themselves."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from polypref.config.registry import Section


class NativePrompts(Section):
    """A set of prompts that were written in the languages themselves, for ``prompt: {native: NAME}``."""

    path: str = Field(
        description="local .jsonl, .json, .csv or .parquet file, or the name of a data set on the Hub; with {language} "
        "(ISO 639-1) or {iso} (ISO 639-3) in the name, one per language"
    )
    subset: str | None = Field(None, description="configuration name on the Hub; may contain {language} or {iso}")
    split: str = "train"
    revision: str | None = Field(None, description="commit on the Hub")
    gated: bool = Field(False, description="needs HF_TOKEN and an accepted licence")
    prompt: str = Field("prompt", description="column with the prompt: a text, or a list of messages")
    language: str | None = Field(
        None,
        description="column with the language of a row, an ISO 639-1 or 639-3 code; rows in other languages are "
        "ignored. By default, all rows are in the language",
    )
    bad_rows: Literal["error", "drop"] = Field("error", description="for unusable rows: stop, or drop and count them")
    license: str = Field("unknown", description="licence of the prompts, for the data set card")

    def of_language(self, code: str, iso639_3: str) -> NativePrompts:
        """Insert a language into ``path`` and ``subset``."""
        named = {"path": self.path, "subset": self.subset}
        filled = {
            key: text and text.replace("{language}", code).replace("{iso}", iso639_3) for key, text in named.items()
        }
        return self.model_copy(update=filled)
