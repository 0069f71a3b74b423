"""The configuration section ``rating``: how the translations of the base set are rated without a reference."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from polypref.config.registry import Decoding, Name, Section

Parser = Literal["number", "score_line", "json"]
"""Names of :data:`polypref.requests.rating_parsers.PARSERS`."""


class Rating(Section):
    """The rater, which rates each translation in the data sets from 0 to 100, given the English text and no reference.

    Ratings are shown in the report, and pairs with a low one get a flag (`chosen_low_rating`), for which
    `diagnostics.drop` can leave them out.
    """

    rater: Name | None = Field(
        None,
        description="checkpoint of the rater; better not one that translated the texts. By default, nothing is rated",
    )
    comet_kiwi: str | None = Field(
        None,
        description="instead of a rater: a COMETKiwi checkpoint (a .ckpt file, or a name on the Hub, e.g. "
        "Unbabel/wmt22-cometkiwi-da, which is gated); its scores times 100 are the ratings. It needs `pip install "
        "unbabel-comet`, and reads only the first 512 tokens of both texts",
    )
    prompt: str = Field(
        "resources/prompts/gemba-da.txt",
        description="file with {source}, {translation} and {language}. gemba-da.txt and gemba-sqm.txt have the "
        "prompts GEMBA-DA and GEMBA-SQM without a reference (Kocmi and Federmann 2023, arXiv 2302.14520)",
    )
    decoding: Decoding = Decoding(temperature=0.0, max_tokens=20)
    parser: Parser = Field(
        "number",
        description="how the rating is found in the reply: 'number' (the only number, or a first line that is only the "
        "rating), 'score_line' (\"Score: 85\" in the last such line) or 'json' ({\"score\": 85}). A number "
        "outside 0 to 100 or between 0 and 1, which is probably on another scale, counts as no rating",
    )
    threshold: float = Field(
        50,
        ge=0,
        le=100,
        description="a translation with a lower rating is flagged. The default is our choice; look at the ratings of "
        "your rater first, because raters differ in how they use the scale",
    )

    @property
    def is_on(self) -> bool:
        """Whether translations are rated."""
        return bool(self.rater or self.comet_kiwi)
