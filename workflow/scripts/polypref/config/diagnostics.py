"""The configuration section ``diagnostics``: flags of preference pairs, and the pairs that are dropped for them."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, field_validator

from polypref.config.registry import Section

EQUAL = "chosen_equals_rejected"
"""The only flag that needs no diagnostics, because the data set itself shows it."""
Flag = Literal[
    "prompt_wrong_language", "prompt_wrong_script", "prompt_copies_source", "prompt_truncated", "prompt_repeats",
    "prompt_incomplete", "prompt_too_long", "prompt_loses_markup",
    "chosen_wrong_language", "chosen_wrong_script", "chosen_copies_prompt", "chosen_copies_source", "chosen_truncated",
    "chosen_repeats", "chosen_incomplete", "chosen_too_long", "chosen_loses_markup",
    "rejected_wrong_language", "rejected_wrong_script", "rejected_copies_prompt", "rejected_copies_source",
    "rejected_truncated", "rejected_repeats", "rejected_incomplete", "rejected_too_long", "rejected_loses_markup",
    "chosen_equals_rejected",
]  # fmt: skip
"""Flags that :mod:`polypref.datasets.diagnostics` can set on a pair."""


PRESETS: dict[str, tuple[Flag, ...]] = {
    "none": (EQUAL,),
    "broken": (EQUAL, *(f for f in get_args(Flag) if f.endswith(("_repeats", "_truncated", "_wrong_language")))),
    "strict": get_args(Flag),
}
"""Presets: lists of flags for which pairs are dropped. All of them drop pairs without a preference."""


class Diagnostics(Section):
    """The flags for which preference pairs are left out, and whether the data sets have the same pairs."""

    drop: Literal["none", "broken", "strict"] | list[Flag] = Field(
        [EQUAL],
        description="flags for which a pair is left out, or a preset: 'none' (only pairs whose chosen and rejected are "
        "equal), 'broken' (also texts that repeat themselves, are cut off or are in the wrong language) or 'strict' "
        "(all flags). A pair with a missing text is always left out",
    )
    length_ratio: list[float] = Field(
        [0.5, 2.0],
        min_length=2,
        max_length=2,
        description="limits of the ratio of a translation's length to the usual length in its language (`length_ratio` "
        "in resources/languages.yaml). A translation below the first is flagged as incomplete, above the second as "
        "too long. Measured with tools/measure_lengths.py",
    )
    sentence_ratio: float = Field(
        0.5,
        ge=0,
        description="a translation with fewer sentences than this share of its source's is flagged as incomplete; "
        "sources with fewer than three sentences are not compared",
    )
    align: bool = Field(
        False,
        description="keep only the pairs that every architecture has in a language, so that policies are trained on "
        "the same prompts",
    )

    @field_validator("length_ratio")
    @classmethod
    def _is_ordered(cls, limits: list[float]) -> list[float]:
        if not 0 <= limits[0] < limits[1]:
            raise ValueError("[lowest, highest], for example [0.5, 2.0]")
        return limits

    @property
    def dropped_flags(self) -> list[str]:
        """The flags for which a pair is left out, in alphabetical order."""
        return sorted(PRESETS[self.drop] if isinstance(self.drop, str) else self.drop)
