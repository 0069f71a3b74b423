"""Random samples of items, for pages that would otherwise hold too many rows."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from polypref.files.digests import fraction


@dataclass(frozen=True)
class Sample:
    """The items on a page: ``shown`` of ``total``; ``ids``: those shown, None if all are."""

    shown: int
    total: int
    ids: pa.Array | None = None

    @property
    def whole(self) -> bool:
        return self.ids is None

    def of(self, table: pa.Table) -> pa.Table:
        """Return the rows of the sample; the table has a column ``item_id``."""
        return table if self.ids is None else table.filter(pc.is_in(table["item_id"], value_set=self.ids))


def draw(ids: Iterable[str], most: int) -> list[str]:
    """Draw at most ``most`` distinct ids by their digests: the same ids in every order, ``most`` of them in memory."""
    return [item for _, item in heapq.nsmallest(most, ((fraction("report", item), item) for item in ids))]
