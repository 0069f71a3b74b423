"""Count the rows of the preference data at every step: the funnel from the sources to the data sets.

In the stage ``source``, a source's file is read, normalised and cleaned. In ``base set``, its pairs are sampled. In
``native prompts``, both are done with a set of prompts that were written in a language. In ``architecture``, each pair
of the base set becomes one pair per language, unless native prompts take its place. In each stage, rows read = rows
dropped + rows kept, and the next stage reads the rows that this stage keeps.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from polypref.files.ids import name_ids
from polypref.files.result_tables import TableError
from polypref.files.schemas import DATASET, FIELDS
from polypref.files.tables import iter_batches

STAGES = ("source", "base set", "native prompts", "architecture")
_KEYS = ["language", "source"]
_LENGTHS = [f"{field}_characters" for field in FIELDS]
FUNNEL_COLUMNS = ["stage", "name", "language", "step", "reason", "rows"]


def _stage(stage: str, name: str, language: str, read: int, dropped: pd.DataFrame, kept: int) -> list[dict]:
    """Return the rows of one funnel: rows read, rows dropped by step and reason, rows kept."""
    label = {"stage": stage, "name": name, "language": language}
    reasons = dropped.fillna({"step": "", "reason": ""}).groupby(["step", "reason"], sort=False).size()
    return [
        {**label, "step": "read", "reason": "", "rows": read},
        *({**label, "step": step, "reason": reason, "rows": rows} for (step, reason), rows in reasons.items()),
        {**label, "step": "kept", "reason": "", "rows": kept},
    ]


def _check_accounted(where: str, before: pd.Series, kept: pd.Series, dropped: pd.Series) -> None:
    """Raise an error unless each id before a step is kept or dropped exactly once."""
    given, after = _sorted(before), _sorted(kept, dropped)
    if twice := _repeated(after):
        raise TableError(f"{where}: {len(twice)} rows are kept or dropped more than once: {name_ids(twice)}")
    if given.equals(after):
        return
    lost, new = (set(_absent(*pair).to_pylist()) for pair in ((given, after), (after, given)))
    if lost:
        raise TableError(f"{where}: {len(lost)} rows are neither kept nor dropped: {name_ids(lost)}")
    if new:
        raise TableError(f"{where}: {len(new)} rows were not in the input: {name_ids(new)}")


def _sorted(*columns: pd.Series) -> pa.Array:
    """Return ids in order. Comparing sorted ids takes much less memory than pyarrow's hash tables of them."""
    parts = [pa.chunked_array([found]) if isinstance(found, pa.Array) else found
             for found in (pa.array(column, pa.string()) for column in columns)]  # fmt: skip
    ids = pa.chunked_array([chunk for part in parts for chunk in part.chunks], pa.string()).combine_chunks()
    return ids.take(pc.array_sort_indices(ids))


def _repeated(ids: pa.Array) -> set[str]:
    """Return the ids that occur more than once, of ids in order."""
    return set(ids[1:].filter(pc.equal(ids[1:], ids[:-1])).to_pylist())


def _absent(ids: pa.Array, others: pa.Array) -> pa.Array:
    return ids.filter(pc.invert(pc.is_in(ids, value_set=others)))


def _by_language(frames: Iterable[pd.DataFrame], where: str) -> Iterator[tuple[str, pd.Series]]:
    """Yield the ids of each language, whose rows must be consecutive; only one language is in memory."""
    language, pieces, seen = "", [], set()
    for frame in frames:
        for code, rows in frame.groupby("language", sort=False):
            if code != language and pieces:
                yield language, pd.concat(pieces)
                pieces = []
            if code != language and code in seen:
                raise TableError(f"{where}: the rows in {code} are not consecutive. Delete the file and run again.")
            language = code
            seen.add(code)
            pieces.append(rows["item_id"])
    if pieces:
        yield language, pd.concat(pieces)


def tabulate_funnel(
    sources: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]],
    pairs: pd.DataFrame,
    pairs_dropped: pd.DataFrame,
    datasets: Mapping[str, tuple[Iterable[pd.DataFrame], pd.DataFrame]],
    languages: Sequence[str],
    native: Mapping[tuple[str, str], tuple[pd.DataFrame, pd.DataFrame]] = MappingProxyType({}),
    prompts: Mapping[tuple[str, str], str] = MappingProxyType({}),
) -> pd.DataFrame:
    """Account for every row from the sources to the data sets.

    Parameters
    ----------
    sources : source to (kept, dropped): schemas PAIRS (only item_id and source) and DROPPED.
    pairs, pairs_dropped : the base set and the rows dropped in sampling, likewise.
    datasets : architecture to (kept, dropped): some rows each in DATASET (only item_id and language), with those of a
        language after each other, and all in DROPPED.
    languages : languages of the data sets, in the order of the rows.
    native : (set of native prompts, language) to (kept, dropped): schemas PAIRS (only item_id and row) and DROPPED.
    prompts : (architecture, language) to the set of native prompts that takes the place of the base set.

    Returns
    -------
    DataFrame with `FUNNEL_COLUMNS`: stage (one of `STAGES`), name (of a source, a set of native prompts or an
    architecture), language (empty for sources), step (``read``, the step that dropped the rows, or ``kept``), reason,
    rows. Of native prompts, the rows in the language are read.

    Raises
    ------
    TableError
        A row is missing, duplicated or unknown. The message names its place and the ids.
    """
    rows = []
    for source, (kept, dropped) in sources.items():
        if twice := _repeated(_sorted(kept["item_id"])):
            raise TableError(f"source {source}: item_id occurs more than once: {name_ids(twice)}")
        rows += _stage("source", source, "", len(kept) + len(dropped), dropped, len(kept))
    for source, (kept, _) in sources.items():
        sampled, others = (frame[frame["source"].eq(source)] for frame in (pairs, pairs_dropped))
        _check_accounted(f"base set, source {source}", kept["item_id"], sampled["item_id"], others["item_id"])
        rows += _stage("base set", source, "", len(kept), others, len(sampled))
    unknown = sorted(set(pairs["source"].unique()) - set(sources))
    if unknown:
        raise TableError(
            f"base set: pairs of {', '.join(unknown)}, which is not one of the sources {', '.join(sources)}"
        )
    for name, language in sorted(native, key=lambda key: (key[0], list(languages).index(key[1]))):
        kept, dropped = native[name, language]
        numbers = pd.concat([kept["row"], dropped["row"]])
        if numbers.duplicated().any():
            twice = name_ids(set(numbers[numbers.duplicated()]))
            raise TableError(f"native prompts {name}, {language}: rows are kept or dropped more than once: {twice}")
        rows += _stage("native prompts", name, language, len(numbers), dropped, len(kept))
    for architecture, (kept, dropped) in datasets.items():
        unknown, found = set(dropped["language"].unique()) - set(languages), {}
        left = {code: dropped[dropped["language"].eq(code)] for code in languages}
        ids = itertools.chain(_by_language(kept, f"architecture {architecture}"), ((code, None) for code in languages))
        for language, own in ids:
            if language not in left:
                unknown.add(language)
            elif language not in found:
                name = prompts.get((architecture, language))
                given = native[name, language][0] if name else pairs
                own = given["item_id"].iloc[:0] if own is None else own
                where = f"architecture {architecture}, {language}"
                _check_accounted(where, given["item_id"], own, left[language]["item_id"])
                found[language] = _stage("architecture", architecture, language, len(given), left[language], len(own))
        if unknown:
            codes = ", ".join(sorted(unknown))
            raise TableError(f"architecture {architecture}: rows in {codes}, not one of the languages")
        rows += [row for language in languages for row in found[language]]
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
