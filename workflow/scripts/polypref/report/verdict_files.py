"""Read the evaluation prompts, answers and verdicts that the verdict browser shows, one language at a time."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from polypref.evaluation.trained import Trained
from polypref.files import schemas
from polypref.files.tables import iter_batches, row_count
from polypref.report.sample import Sample, draw

SHOWN = ["item_id", "policy", "opponent", "order", "reply", "verdict", "status", "error", "model"]
"""Columns of a verdict that are shown."""


@dataclass(frozen=True)
class Judgements:
    """Files of evaluation prompts, answers and verdicts, and how many verdicts are shown.

    Parameters
    ----------
    prompts : language to file in PROMPTS.
    answers : policy or opponent to {language: file in TEXTS}.
    verdicts : language to files in VERDICTS; ``model`` is the judge.
    most : largest number of verdicts that are shown; of more, those on a random sample of the prompts are shown.
    trained : names of policies.
    """

    prompts: Mapping[str, Path]
    answers: Mapping[str, Mapping[str, Path]]
    verdicts: Mapping[str, Sequence[Path]]
    most: int
    trained: Trained

    @functools.cached_property
    def sample(self) -> Sample:
        """The prompts of all languages that are shown; translations of a prompt are shown together."""
        total = sum(row_count(path) for path in self.prompts.values())
        rows = sum(row_count(path) for paths in self.verdicts.values() for path in paths)
        if rows <= self.most:
            return Sample(total, total)
        known = {
            item: prompt
            for path in self.prompts.values()
            for table in iter_batches(path, schemas.PROMPTS, ["item_id", "prompt_id"])
            for item, prompt in zip(table["item_id"].to_pylist(), table["prompt_id"].to_pylist(), strict=True)
        }
        prompts = set(known.values())
        drawn = set(draw(prompts, max(1, len(prompts) * self.most // rows)))
        ids = [item for item, prompt in known.items() if prompt in drawn]
        return Sample(len(ids), total, pa.array(ids))

    @functools.cached_property
    def names(self) -> dict[str, list[str]]:
        """Names of policies, opponents and judges (keys policy, opponent and model) in order of first occurrence."""
        found: dict[str, dict[str, None]] = {"policy": {}, "opponent": {}, "model": {}}
        for path in self._policy_files():
            for table in iter_batches(path, schemas.VERDICTS, list(found)):
                for column, names in found.items():
                    names.update(dict.fromkeys(pc.unique(table[column]).to_pylist()))
        return {**{column: list(names) for column, names in found.items()},
                "policy": list(map(self.trained.label, found["policy"]))}  # fmt: skip

    def prompts_of(self, language: str) -> pd.DataFrame:
        """Read the shown prompts of a language."""
        return self._read([self.prompts[language]], schemas.PROMPTS)

    def texts_of(self, items: Iterable[str]) -> dict[str, str]:
        """Return the texts of some prompts by ``item_id``, shown or not."""
        wanted = pa.array(list(items), pa.string())
        found = {}
        for path in self.prompts.values():
            for table in iter_batches(path, schemas.PROMPTS, ["item_id", "prompt"]):
                rows = table.filter(pc.is_in(table["item_id"], value_set=wanted))
                found |= zip(rows["item_id"].to_pylist(), rows["prompt"].to_pylist(), strict=True)
        return found

    def answers_of(self, name: str, language: str) -> pd.DataFrame:
        """Read the answers of a policy or an opponent to the shown prompts of a language."""
        return self._read([self.answers[name][language]], schemas.TEXTS, ["item_id", "text", "error"])

    def verdicts_of(self, language: str) -> pd.DataFrame:
        """Read the verdicts on the shown prompts of a language."""
        return self.trained.labelled(self._read(self.verdicts[language], schemas.VERDICTS, SHOWN))

    def _policy_files(self) -> list[Path]:
        """All files of verdicts: those of the first policy, of the second policy, and so on."""
        return [path for paths in zip(*self.verdicts.values(), strict=True) for path in paths]

    def _read(self, paths: Sequence[Path], schema: pa.Schema, columns: Sequence[str] | None = None) -> pd.DataFrame:
        found = [self.sample.of(table) for path in paths for table in iter_batches(path, schema, columns)]
        return pa.concat_tables(found or [schema.empty_table().select(columns or schema.names)]).to_pandas()
