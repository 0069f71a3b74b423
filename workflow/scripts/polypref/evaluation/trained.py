"""Names of trained policies: the architecture that each was trained on, and its label if there are several seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import pandas as pd

Item = TypeVar("Item")


class Trained:
    """Names of the policies of architectures that were trained with several seeds.

    Parameters
    ----------
    names : architecture and label of each policy by the name of its files (``trained_names`` of the plan);
        empty if each architecture was trained once and its policy has its name. Other models keep their names.
    """

    def __init__(self, names: Mapping[str, Sequence[str]]):
        self._names = names

    @property
    def several(self) -> bool:
        """Whether an architecture was trained with several seeds."""
        return len({architecture for architecture, _ in self._names.values()}) < len(self._names)

    def architecture(self, policy: str) -> str:
        return self._names[policy][0] if policy in self._names else policy

    def label(self, policy: str) -> str:
        """The name in tables and figures: the architecture, followed by the seed if there are several seeds."""
        return self._names[policy][1] if policy in self._names else policy

    def labelled(self, frame: pd.DataFrame, column: str = "policy") -> pd.DataFrame:
        """Replace the names of files in a column by labels."""
        return frame.assign(**{column: frame[column].map(self.label)}) if self._names else frame

    def pooled(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Replace the names of files in the column ``policy`` by architectures; the column ``seed`` has the labels.

        Without several seeds, there is no column ``seed``.
        """
        if not self._names:
            return frame
        seeds = {"seed": frame["policy"].map(self.label)} if self.several else {}
        return frame.assign(policy=frame["policy"].map(self.architecture), **seeds)

    def by_architecture(self, items: Mapping[str, Item]) -> dict[str, list[Item]]:
        """Group items by architecture, in order of first occurrence."""
        found: dict[str, list[Item]] = {}
        for policy, item in items.items():
            found.setdefault(self.architecture(policy), []).append(item)
        return found
