"""The failed requests of a run: their rows in the file of completions, and the check that they are few."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from polypref.files.tables import BATCH
from polypref.requests.batch import Batch
from polypref.requests.engines import EngineError
from polypref.requests.keys import keys_of
from polypref.requests.store_files import to_table

MAX_KINDS = 1_000
"""Maximum number of different errors that are counted; further ones are counted together."""


@dataclass
class _Kind:
    """Number of requests with the same error except for digits, and the first of them."""

    count: int
    key: int
    error: str


class Failures:
    """The failed requests of a batch, which are not in the row store."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._tables: list[pa.Table] = []
        self._recent: list[dict[str, Any]] = []

    def add(self, record: dict[str, Any]) -> None:
        """Add a failed request (row in COMPLETIONS)."""
        self._recent.append(record)
        if len(self._recent) >= BATCH:
            self._tables.append(to_table(self._recent))
            self._recent = []

    def tables(self) -> Iterator[pa.Table]:
        """Iterate over the failed requests as tables in COMPLETIONS."""
        yield from self._tables
        if self._recent:
            yield to_table(self._recent)

    def require_few(self, limit: float) -> None:
        """Fail if the share of failed requests exceeds a limit, and list the most frequent errors with a row of each.

        Raises
        ------
        EngineError
        """
        failed = sum(map(len, self.tables()))
        if failed <= limit * len(self._batch):
            return
        kinds: dict[str, _Kind] = {}
        first = self._batch.index.first
        for table in self.tables():
            keys = self._batch.index.find(keys_of(table["request_id"])).tolist()
            for key, error in zip(keys, table["error"].to_pylist(), strict=True):
                name = re.sub(r"\d+", "0", error)
                name = name if name in kinds or len(kinds) < MAX_KINDS else "other errors"
                kind = kinds.setdefault(name, _Kind(0, key, error))
                kind.count += 1
                if first[key] < first[kind.key]:
                    kind.key, kind.error = key, error
        frequent = sorted(kinds.values(), key=lambda kind: (-kind.count, first[kind.key]))[:3]
        causes = "; ".join(f"{kind.count:,} of them: {kind.error} ({self._batch.where(kind.key)})" for kind in frequent)
        raise EngineError(
            f"{failed:,} of {len(self._batch):,} requests failed, more than {limit:.0%} of them. {causes}. All other "
            "completions are in the row store. Remove the cause and run again: only the failed requests are sent. To "
            "continue without these rows, raise runtime.max_error_share of this checkpoint."
        )
