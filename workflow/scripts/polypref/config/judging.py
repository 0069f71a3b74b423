"""The configuration section ``judging``: the judge, its prompt, and how verdicts are parsed and counted."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from polypref.config.registry import Decoding, Name, Section

Parser = Literal["label", "brackets", "json", "answer_line"]
"""Names of :data:`polypref.requests.verdict_parsers.PARSERS`."""
_PARSER = Field(
    "label",
    description="how a verdict is found in the reply: 'label' (A, B or TIE alone; decoding is constrained to them), "
    "'brackets' ([[A]], [[B]], [[C]]), 'json' ({\"winner\": \"A\"}) or 'answer_line' (\"Answer: B\" in the last such "
    "line); all but 'label' decode freely and need a prompt that asks for the format and a larger max_tokens",
)


class SecondJudge(Section):
    """Another judge that compares the same answers, to check whether the verdicts depend on the judge."""

    judge: Name = Field(description="checkpoint of a judge of another family than the first")
    decoding: Decoding = Decoding(temperature=0.0, max_tokens=20)
    parser: Parser = _PARSER
    share: float = Field(1.0, gt=0, le=1, description="share of the prompts that it judges, sampled with the seed")


class Judging(Section):
    """How the judge compares two answers."""

    judge: Name = Field(description="checkpoint of the judge")
    prompt: str = Field(
        "resources/prompts/judge.txt", description="file with {language}, {prompt}, {answer_a}, {answer_b}"
    )
    decoding: Decoding = Decoding(temperature=0.0, max_tokens=20)
    parser: Parser = _PARSER
    mode: Literal["balanced", "paper"] = Field("balanced", description="judge both orders, or random-order runs")
    runs: int = Field(
        5,
        ge=1,
        description="random-order runs in mode 'paper': at temperature 0 taken from the verdicts of both orders, "
        "else sampled",
    )
    seed: int = 1
    second: SecondJudge | None = Field(None, description="second judge; its agreement with the first is reported")

    @property
    def counting(self) -> str:
        """How verdicts are assigned to runs (:func:`.judgements`): ``balanced``, ``paper`` or ``sampled``."""
        return "sampled" if self.mode == "paper" and self.decoding.temperature > 0 else self.mode
