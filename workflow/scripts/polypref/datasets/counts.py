"""Count the rows of the preference data at every step: the funnel from the sources to the data sets.

In the stage ``source``, a source's file is read, normalised and cleaned. In ``base set``, its pairs are sampled. In
``native prompts``, both are done with a set of prompts that were written in a language. In ``architecture``, each pair
of the base set becomes one pair per language, unless native prompts take its place. In each stage, rows read = rows
dropped + rows kept, and the next stage reads the rows that this stage keeps.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from polypref.files.first_rows import FirstRows
from polypref.files.ids import name_ids
from polypref.files.result_tables import TableError
from polypref.files.schemas import DATASET, FIELDS
from polypref.files.tables import iter_batches
from polypref.sources.dropping import kind_of_reason

Frames = Iterable[pd.DataFrame]
"""Rows of a file in pieces, which can be iterated over several times."""
MOST_REASONS = 100
"""Reasons that are counted one by one, in each funnel; an error of a server, for example, may differ in each row."""
OTHER_REASONS = "other reasons"
"""All others together."""
STAGES = ("source", "base set", "native prompts", "architecture")
_KEYS = ["language", "source"]
_LENGTHS = [f"{field}_characters" for field in FIELDS]
FUNNEL_COLUMNS = ["stage", "name", "language", "step", "reason", "rows"]


class _Rows:
    """Counted rows: their number, the sum of the hashes of their ids, and how many have each step and reason.

    Two sets of ids of which one lacks, repeats or adds an id have another sum, except with a probability of 2**-64. So
    rows are compared without keeping their ids.
    """

    def __init__(self) -> None:
        self.count, self.ids = 0, 0
        self.reasons: Counter[tuple[str, str]] = Counter()

    def add(self, rows: pd.DataFrame) -> None:
        """Add rows with item_id, and of dropped rows also step and reason."""
        self.count += len(rows)
        self.ids += int(pd.util.hash_array(rows["item_id"].to_numpy(object), categorize=False).sum(dtype=np.uint64))
        if "step" in rows:
            found = rows.fillna({"step": "", "reason": ""}).groupby(["step", "reason"], sort=False).size()
            for (step, reason), count in found.items():
                key = (step, kind_of_reason(reason))
                full = len(self.reasons) >= MOST_REASONS and key not in self.reasons
                self.reasons[(step, OTHER_REASONS) if full else key] += count

    def funnel(self, stage: str, name: str, language: str, read: int, kept: int) -> list[dict]:
        """Return the rows of one funnel if these rows are dropped."""
        label = {"stage": stage, "name": name, "language": language}
        steps = [("read", "", read), *((*key, count) for key, count in self.reasons.items()), ("kept", "", kept)]
        return [{**label, "step": step, "reason": reason, "rows": rows} for step, reason, rows in steps]


def _count(frames: Frames, by: str | None = None) -> dict[str, _Rows]:
    """Count rows by a column, or all of them as ``""``."""
    counted: dict[str, _Rows] = defaultdict(_Rows)
    for frame in frames:
        for name, rows in frame.groupby(by, sort=False) if by else [("", frame)]:
            counted[name].add(rows)
    return counted


def _check_accounted(where: str, before: _Rows, kept: _Rows, dropped: _Rows, ids: Sequence[Callable]) -> None:
    """Raise an error unless each id before a step is kept or dropped exactly once.

    ``ids``: functions that read the ids before the step, those kept and those dropped, for the message.
    """
    count, total = kept.count + dropped.count, (kept.ids + dropped.ids) % 2**64
    if (before.count, before.ids % 2**64) == (count, total):
        return
    given, *after = (Counter(read()) for read in ids)
    after = sum(after, Counter())
    if twice := {item for item, times in after.items() if times > 1}:
        raise TableError(f"{where}: {len(twice)} rows are kept or dropped more than once: {name_ids(twice)}")
    if lost := given.keys() - after.keys():
        raise TableError(f"{where}: {len(lost)} rows are neither kept nor dropped: {name_ids(lost)}")
    new = after.keys() - given.keys()
    raise TableError(f"{where}: {len(new)} rows were not in the input: {name_ids(new)}")


def _check_unique(where: str, items: Iterable[Any], what: str) -> None:
    """Raise an error if a value occurs more than once."""
    known = FirstRows()
    twice = {item for item in items if known.add(str(item), 0) is not None}
    if twice:
        raise TableError(f"{where}: {what}: {name_ids(twice)}")


def _values(frames: Frames, name: str = "item_id", **chosen: str) -> Iterator[Any]:
    """Iterate over the values of a column, in the rows in which some columns have a certain value."""
    for frame in frames:
        for column, value in chosen.items():
            frame = frame[frame[column].eq(value)]
        yield from frame[name]


def tabulate_funnel(
    sources: Mapping[str, tuple[Frames, Frames]],
    pairs: Frames,
    pairs_dropped: Frames,
    datasets: Mapping[str, tuple[Frames, Frames]],
    languages: Sequence[str],
    native: Mapping[tuple[str, str], tuple[Frames, Frames]] = MappingProxyType({}),
    prompts: Mapping[tuple[str, str], str] = MappingProxyType({}),
) -> pd.DataFrame:
    """Account for every row from the sources to the data sets. All rows are given in pieces, as `Frames`.

    Parameters
    ----------
    sources : source to (kept, dropped): schemas PAIRS (only item_id) and DROPPED.
    pairs, pairs_dropped : the base set (item_id and source) and the rows dropped in sampling, likewise.
    datasets : architecture to (kept, dropped): schemas DATASET (only item_id and language) and DROPPED.
    languages : languages of the data sets, in the order of the rows.
    native : (set of native prompts, language) to (kept, dropped): schemas PAIRS (only item_id and row) and DROPPED.
    prompts : (architecture, language) to the set of native prompts that takes the place of the base set.

    Returns
    -------
    DataFrame with `FUNNEL_COLUMNS`: stage (one of `STAGES`), name (of a source, a set of native prompts or an
    architecture), language (empty for sources), step (``read``, the step that dropped the rows, or ``kept``), reason
    (from :func:`polypref.sources.dropping.kind_of_reason`; beyond `MOST_REASONS`, `OTHER_REASONS`), rows. Of native
    prompts, the rows in the language are read.

    Raises
    ------
    TableError
        A row is missing, duplicated or unknown. The message names its place and the ids.
    """
    rows, none = [], _Rows()
    given = {}
    for source, (kept, dropped) in sources.items():
        _check_unique(f"source {source}", _values(kept), "item_id occurs more than once")
        given[source], left = (_count(frames)[""] for frames in (kept, dropped))
        rows += left.funnel("source", source, "", given[source].count + left.count, given[source].count)
    sampled, rest = _count(pairs, "source"), _count(pairs_dropped, "source")
    for source, before in given.items():
        after = [counted.get(source, none) for counted in (sampled, rest)]
        ids = [partial(_values, sources[source][0]), partial(_values, pairs, source=source),
               partial(_values, pairs_dropped, source=source)]  # fmt: skip
        _check_accounted(f"base set, source {source}", before, *after, ids)
        rows += after[1].funnel("base set", source, "", before.count, after[0].count)
    if unknown := sorted(sampled.keys() - given.keys()):
        raise TableError(
            f"base set: pairs of {', '.join(unknown)}, which is not one of the sources {', '.join(sources)}"
        )
    own = {}
    for name, language in sorted(native, key=lambda key: (key[0], list(languages).index(key[1]))):
        kept, dropped = native[name, language]
        own[name, language], left = (_count(frames)[""] for frames in (kept, dropped))
        numbers = chain(_values(kept, "row"), _values(dropped, "row"))
        _check_unique(f"native prompts {name}, {language}", numbers, "rows are kept or dropped more than once")
        count = own[name, language].count
        rows += left.funnel("native prompts", name, language, count + left.count, count)
    base = _count(pairs)[""]
    for architecture, both in datasets.items():
        kept, dropped = (_count(frames, "language") for frames in both)
        if unknown := sorted((kept.keys() | dropped.keys()) - set(languages)):
            raise TableError(f"architecture {architecture}: rows in {', '.join(unknown)}, not one of the languages")
        for language in languages:
            name = prompts.get((architecture, language))
            before, where = (own[name, language], native[name, language][0]) if name else (base, pairs)
            after = [counted.get(language, none) for counted in (kept, dropped)]
            ids = [partial(_values, where), *(partial(_values, frames, language=language) for frames in both)]
            _check_accounted(f"architecture {architecture}, {language}", before, *after, ids)
            rows += after[1].funnel("architecture", architecture, language, before.count, after[0].count)
    return pd.DataFrame(rows, columns=FUNNEL_COLUMNS)


def read_lengths(path: str | Path) -> Iterator[pd.DataFrame]:
    """Read a data set's columns language and source, and the lengths of its texts, some thousand rows at a time."""
    for table in iter_batches(path, DATASET, ["language", "source", *FIELDS]):
        lengths = {f"{field}_characters": pc.utf8_length(table[field]) for field in FIELDS}
        yield pa.table({name: table[name] for name in _KEYS} | lengths).to_pandas()


def tabulate_dataset_counts(datasets: Mapping[str, Iterable[pd.DataFrame]], languages: Sequence[str]) -> pd.DataFrame:
    """Tabulate pairs and mean lengths per architecture, language and source.

    Parameters
    ----------
    datasets : architecture to the frames of :func:`read_lengths`.
    languages : languages in the order of the rows.

    Returns
    -------
    architecture, language, source, pairs, prompt_characters, chosen_characters, rejected_characters (means, in
    Unicode code points).
    """
    tables = []
    for architecture, frames in datasets.items():
        sums = [frame.assign(pairs=1).groupby(_KEYS).sum().reset_index() for frame in frames]
        table = pd.concat(sums).groupby(_KEYS)[["pairs", *_LENGTHS]].sum()
        table[_LENGTHS] = table[_LENGTHS].div(table["pairs"], axis=0)
        tables.append(table.reset_index().assign(architecture=architecture))
    table = pd.concat(tables, ignore_index=True)
    table["language"] = pd.Categorical(table["language"], languages, ordered=True)
    table["architecture"] = pd.Categorical(table["architecture"], list(datasets), ordered=True)
    first = ["architecture", "language", "source"]
    return table[[*first, *(name for name in table if name not in first)]].sort_values(first, ignore_index=True)
