"""Conversion of external verdicts and translations, as read by :mod:`.external_files`, to this package's columns.

Verdicts
    ``policy``, ``opponent`` (names) and ``verdict`` (policy, opponent, tie; empty: unparsed), or instead of ``verdict``
    graded ``points`` (the policy's share of the judgement, 0 to 1). Optional: ``prompt_id`` (the source prompt: the
    cluster for all intervals), ``item_id`` (the prompt in one language), ``language``, ``run``, ``order``
    (policy_first, opponent_first), ``status`` (parsed, unparsed, error), ``policy_length`` and ``opponent_length``
    (characters), or ``policy_text`` and ``opponent_text``.
Translations
    ``translator``, ``language``, ``hypothesis``, ``reference``. Optional: ``item_id`` (the segment; all translators are
    compared on the same segments), ``document_id`` (the block of the bootstrap), ``source`` (for COMET).
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from polypref.evaluation.win_rates import ALL
from polypref.files.ids import name_ids
from polypref.files.result_tables import TableError
from polypref.requests.judge import ORDERS

STATUSES = ("parsed", "unparsed", "error")
UNDETERMINED = "und"
WORDS = {"policy": ("policy", "win"), "opponent": ("opponent", "loss"), "tie": ("tie",), "": ("", "unparsed")}
"""Accepted words of the verdict column, by meaning."""


def require_columns(frame: pd.DataFrame, wanted: Iterable[str], where: str) -> None:
    """Check that a table has the required columns.

    Raises
    ------
    TableError
        A column is missing; the message lists the existing columns and the option that maps another name.
    """
    missing = [name for name in wanted if name not in frame]
    if missing:
        raise TableError(
            f"{where}: column {', '.join(missing)} is missing; found {', '.join(map(str, frame.columns))}. "
            f"Give its name in your file with --column {missing[0]}=NAME."
        )


def _stop(wrong: pd.Series, message: str) -> None:
    """Raise an error for the first row where `wrong` is true; ``{row}`` in the message is its number, from 1."""
    if wrong.any():
        raise TableError(message.format(row=int(np.flatnonzero(wrong)[0]) + 1))


def _names(frame: pd.DataFrame, columns: Iterable[str], where: str) -> None:
    """Convert these columns to text, in place.

    Raises
    ------
    TableError
        A value is empty, is neither a text nor a number, or is the name reserved for totals.
    """
    for name in columns:
        column = frame[name]
        nested = column.map(lambda value: isinstance(value, list | dict | np.ndarray))
        _stop(nested, f"{where}: {name} in row {{row}} is a list or an object; expected a text or a number")
        text = column.astype(object).where(column.notna(), "").astype(str)
        _stop(text.str.strip().eq(""), f"{where}: {name} is empty in row {{row}}; fill it in every row")
        if name in ("policy", "opponent", "language"):
            _stop(text.eq(ALL), f"{where}: {name} is {ALL!r} in row {{row}}, the name of the totals; rename it")
        frame[name] = text


def _numbers(column: pd.Series, where: str, expected: str) -> pd.Series:
    """Convert a column to numbers; empty cells become nan."""
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    given = column.astype(object).where(column.notna(), "").astype(str).str.strip()
    wrong = numbers.isna() & ~given.str.lower().isin(["", "nan", "none", "null"])
    word = given[wrong].iloc[0][:40].replace("{", "{{").replace("}", "}}") if wrong.any() else ""
    _stop(wrong, f"{where}: {column.name} is {word!r} in row {{row}}; expected {expected}")
    return numbers


def _verdict_words(column: pd.Series, words: Mapping[str, Sequence[str]], where: str) -> pd.Series:
    meanings: dict[str, str] = {}
    for meaning, known in words.items():
        for word in known:
            if meanings.setdefault(word, meaning) != meaning:
                raise TableError(f"the verdict {word!r} has two meanings; give each word only one meaning")
    found = column.fillna("").astype(str).str.strip()
    unknown = sorted(set(found.unique()) - set(meanings))
    if unknown:
        raise TableError(
            f"{where}: verdict is {unknown[0]!r} in row {int(np.flatnonzero(found.eq(unknown[0]))[0]) + 1}; expected "
            f"{', '.join(word for word in meanings if word)} or nothing. Define other words with --policy-wins, "
            "--opponent-wins, --tie and --unparsed."
        )
    return found.map(meanings)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def as_judged(
    frame: pd.DataFrame,
    where: str = "verdicts",
    words: Mapping[str, Sequence[str]] = WORDS,
    points_range: tuple[float, float] = (0.0, 1.0),
    drop_unparsed: bool = False,
) -> pd.DataFrame:
    """Convert external verdicts to the input of :func:`polypref.evaluation.estimates.estimate_rates`.

    Parameters
    ----------
    frame : table with the columns listed at the top of this module.
    where : name of the input for error messages.
    words : for each meaning (policy, opponent, tie or empty), the words that express it in ``verdict``.
    points_range : values of ``points`` for a full win of the opponent and for a full win of the policy. A number among
        the words for a tie (such as 0 in older AlpacaEval files) counts as half a win.
    drop_unparsed : whether to exclude unparsed judgements from the denominators, as AlpacaEval does, by counting them
        as errors.

    Returns
    -------
    prompt_id, item_id, language, policy, opponent, order (may be empty), run, verdict, status and, if known, points and
    lengths. Without ``prompt_id``, clusters are formed by ``item_id``; without both, every row is a cluster. Points
    above one half are a win, exactly one half is a tie, and nan is unparsed.

    Raises
    ------
    TableError
        A column is missing, there are no rows, or a value is unknown.
    """
    graded = "points" in frame and "verdict" not in frame
    require_columns(frame, ["policy", "opponent", "points" if graded else "verdict"], where)
    if frame.empty:
        raise TableError(f"{where}: there are no rows")
    judged = frame.reset_index(drop=True).astype(object)  # also for categories, dates and nullable integers
    _names(judged, ["policy", "opponent"], where)
    if graded:
        if points_range[0] == points_range[1]:
            raise TableError("--points-range needs two different numbers, for example 1 2")
        points = _numbers(judged["points"], where, "a number, or an empty cell if the reply was unparsed")
        numbers = [float(word) for word in words["tie"] if _is_number(word)]
        ties = points.isin(numbers)
        points = ((points - points_range[0]) / (points_range[1] - points_range[0])).mask(ties, 0.5)
        outside = points[~points.isna() & ~points.between(0, 1)]
        if len(outside):
            raise TableError(f"{where}: points are outside {points_range[0]:g} to {points_range[1]:g} in row "
                             f"{outside.index[0] + 1}; set their range with --points-range")  # fmt: skip
        judged["verdict"] = np.select([points > 0.5, points < 0.5, points == 0.5], ["policy", "opponent", "tie"], "")
        judged["points"] = points.fillna(0.0)
    else:
        judged["verdict"] = _verdict_words(judged["verdict"], words, where)
        judged = judged.drop(columns="points", errors="ignore")
    if "status" not in judged:
        judged["status"] = np.where(judged["verdict"].ne(""), "parsed", "unparsed")
    if drop_unparsed:
        judged["status"] = judged["status"].replace("unparsed", "error")
    unknown = ~judged["status"].isin(STATUSES)
    _stop(unknown, f"{where}: status in row {{row}} is none of {', '.join(STATUSES)}")
    contradicting = judged["status"].eq("parsed") != judged["verdict"].ne("")
    _stop(contradicting, f"{where}: status and verdict contradict each other in row {{row}}: only rows with the status "
                         "parsed have a verdict")  # fmt: skip
    identity = next((name for name in ("prompt_id", "item_id") if name in judged), None)
    _names(judged, [name for name in ("prompt_id", "item_id", "language", "run") if name in judged], where)
    judged["prompt_id"] = judged[identity] if identity else judged.index.astype(str)
    judged["language"] = judged.get("language", UNDETERMINED)
    if "item_id" not in judged:
        judged["item_id"] = judged["prompt_id"] + "\x1f" + judged["language"]
    judged["run"] = judged.get("run", 0)
    judged["order"] = judged["order"].fillna("").astype(str) if "order" in judged else ""
    unknown = ~judged["order"].isin([*ORDERS, ""])
    _stop(unknown, f"{where}: order is not {' or '.join(ORDERS)} in row {{row}}; omit the column if it is unknown")
    for side in ("policy", "opponent"):
        if f"{side}_text" in judged and f"{side}_length" not in judged:
            judged[f"{side}_length"] = judged[f"{side}_text"].fillna("").astype(str).str.len()
        if f"{side}_length" in judged:
            lengths = _numbers(judged[f"{side}_length"], where, "a number of characters")
            _stop(~(lengths >= 0) | np.isinf(lengths), f"{where}: {side}_length in row {{row}} is not a number of "
                                                       "characters; correct it, or omit the column")  # fmt: skip
            judged[f"{side}_length"] = lengths
    keys = ["item_id", "policy", "opponent", "order", "run"]
    if identity and judged.duplicated(keys).any():
        twice = judged.loc[judged.duplicated(keys), identity]
        raise TableError(
            f"{where}: a pair occurs more than once in a run and order: {name_ids(set(twice))}. Name the column that "
            "distinguishes them with --column run=NAME or --column order=NAME."
        )
    return judged


def as_segments(frame: pd.DataFrame, where: str = "translations") -> tuple[dict, dict]:
    """Convert external translations to the input of :func:`polypref.translation_quality.scores.score_translations`.

    Parameters
    ----------
    frame : table with the columns listed at the top of this module.
    where : name of the input for error messages.

    Returns
    -------
    A dict from language to segments (item_id, document_id, source, reference), and one from (translator, language) to
    texts (item_id, text, error). Without ``item_id``, a segment is identified by its position among the rows of its
    translator and language, so all translators need the same number of rows with the same references in the same order.

    Raises
    ------
    TableError
        A column is missing, or a segment has different references for different translators.
    """
    require_columns(frame, ["translator", "language", "hypothesis", "reference"], where)
    if frame.empty:
        raise TableError(f"{where}: there are no rows")
    rows = frame.reset_index(drop=True).astype(object)
    rows["hypothesis"] = rows["hypothesis"].where(rows["hypothesis"].notna(), "")  # missing ones count as empty
    needed = ["translator", "language", "reference", *(name for name in ("item_id", "document_id") if name in rows)]
    _names(rows, needed, where)
    texts_only = rows["hypothesis"].map(lambda value: isinstance(value, list | dict | np.ndarray))
    _stop(texts_only, f"{where}: hypothesis in row {{row}} is a list or an object; expected a text")
    rows["hypothesis"] = rows["hypothesis"].astype(str)
    if "item_id" not in rows:
        rows["item_id"] = (rows.groupby(["translator", "language"]).cumcount() + 1).astype(str)
    rows["document_id"] = rows["document_id"] if "document_id" in rows else rows["item_id"]
    rows["source"] = rows["source"].fillna("").astype(str) if "source" in rows else ""
    segments, texts = {}, {}
    for language, here in rows.groupby("language", sort=False):
        known = here[["item_id", "document_id", "source", "reference"]].drop_duplicates()
        unlike = known.loc[known["item_id"].duplicated(), "item_id"].unique()
        if len(unlike):
            raise TableError(f"{where}, {language}: different references, sources or documents for the same segment: "
                             f"{name_ids(unlike)}")  # fmt: skip
        segments[language] = known.reset_index(drop=True)
        for translator, mine in here.groupby("translator", sort=False):
            texts[translator, language] = (
                mine[["item_id", "hypothesis"]].rename(columns={"hypothesis": "text"}).assign(error=None)
            )
    return segments, texts
