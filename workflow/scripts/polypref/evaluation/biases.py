"""Length bias of a judge, and faults of the answers: a wrong language, truncation, repetition."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from polypref.datasets.diagnostics import EXCERPT, LOOP, repetition
from polypref.datasets.identification import is_wrong_language, lingua_code, lingua_codes
from polypref.evaluation.fractional_logit import fractional_logit
from polypref.evaluation.win_rates import ALL, CATEGORIES, cell_codes, positions

ANSWER_FLAGS = ("wrong_language", "truncated", "repeats")
"""Faults of an answer, found without a judge."""


class _Parsed(NamedTuple):
    """Parsed judgements, one value each.

    ``prompts``: number of the source prompt; ``worth``: twice the policy's points (0, 1 or 2); ``length``: difference
    in length in characters, nan if it is unknown; ``language``: its number.
    """

    prompts: np.ndarray
    worth: np.ndarray
    length: np.ndarray
    language: np.ndarray

    def deviations(self) -> np.ndarray:
        """Return the standard deviation of the length in each language; nan if it is not positive."""
        found = [pd.Series(self.length[self.language == number], dtype=float).std()
                 for number in range(self.language.max(initial=-1) + 1)]  # fmt: skip
        return np.array([deviation if deviation > 0 else np.nan for deviation in found])

    def summary(self, deviations: np.ndarray) -> dict[str, float]:
        """Return the columns of :func:`length_bias` for these judgements."""
        decided = (self.worth != 1) & (self.length != 0) & ~np.isnan(self.length)
        longer = np.count_nonzero(decided & (self.worth == np.where(self.length > 0, np.int8(2), np.int8(0))))
        judgements, count = len(self.worth), np.count_nonzero(decided)
        return {
            "judgements": judgements, "decided": count, "longer_percent": 100 * longer / count if count else np.nan,
            "score": 50 * float(self.worth.mean()) if judgements else np.nan, **self._equal_length(deviations),
        }  # fmt: skip

    def _equal_length(self, deviations: np.ndarray) -> dict[str, float]:
        """Estimate the score at equal length (percent, with its 95% interval) and the slope per standard deviation."""
        names = ("score_equal_length", "score_equal_length_low", "score_equal_length_high", "length_slope")
        clusters, worth = pd.factorize(self.prompts)[0].astype(np.int32), self.worth
        fit = None
        if clusters.max(initial=0) >= 9 and worth.min() < worth.max():
            length = np.nan_to_num(self.length / deviations[self.language], copy=False)
            if length.min() < length.max():
                fit = fractional_logit(worth, length, clusters, whole=2)
        if fit is None:
            return dict.fromkeys(names, np.nan)
        ends = (float(100 * special.expit(end)) for end in (fit.intercept, fit.low, fit.high))
        return dict(zip(names, [*ends, float(fit.slope)], strict=True))


def length_bias(judged: pd.DataFrame) -> pd.DataFrame:
    """Estimate how often the judge prefers the longer answer, and the score that answers of equal length would have.

    Parameters
    ----------
    judged : data frame with prompt_id, policy, opponent, language, verdict, status, policy_length and opponent_length
        (in characters).

    Returns
    -------
    policy, opponent (and ``all``), judgements (parsed), decided (verdicts other than a tie on answers of different
    lengths), longer_percent (share of the decided verdicts that the longer answer won), score = (W + T/2)/N of the
    parsed judgements in percent, score_equal_length with ``_low`` and ``_high`` (95%, clustered by prompt, quantile of
    Student's t with one degree of freedom fewer than there are prompts) and length_slope. The last four come from a
    logistic regression of the policy's points (1, 0.5, 0; fractional logit, Papke and Wooldridge 1996) on the
    difference in length, in standard deviations within the language. They are nan if there are fewer than ten prompts
    or if length determines every verdict.
    """
    known = judged["status"].eq("parsed").to_numpy()
    codes, cells = cell_codes(judged, ["policy", "opponent"])
    prompts, languages = (pd.factorize(judged[name])[0].astype(np.int32)[known] for name in ("prompt_id", "language"))
    worth = np.array([2, 0, 1], np.int8)[positions(judged["verdict"], CATEGORIES)[known]]
    length = (judged["policy_length"] - judged["opponent_length"]).to_numpy()[known]
    parsed = _Parsed(prompts, worth, length, languages)
    codes, deviations = codes.astype(np.int32)[known], parsed.deviations()
    rows = [{"policy": ALL, "opponent": ALL, **parsed.summary(deviations)}]
    for number, (policy, opponent) in enumerate(cells.itertuples(index=False, name=None)):
        here = codes == number
        own = _Parsed(*(column[here] for column in parsed))
        rows.append({"policy": policy, "opponent": opponent, **own.summary(deviations)})
    return pd.DataFrame(rows)


def add_lengths(judged: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """Add the lengths of both answers to each judgement.

    Parameters
    ----------
    judged : data frame with item_id, policy and opponent.
    answers : data frame with name (of a policy or an opponent), item_id and length (in characters).

    Returns
    -------
    `judged` with policy_length and opponent_length; nan if there is no such answer.

    Raises
    ------
    ValueError
        A model has two answers to an item.
    """
    if answers.duplicated(["name", "item_id"]).any():
        raise ValueError("answers: a model has two answers to an item")
    names, items = (pd.Index(answers[name].unique().tolist()) for name in ("name", "item_id"))
    # the last row and column are for missing answers
    lengths = np.full((len(names) + 1, len(items) + 1), np.nan, np.float32)
    lengths[positions(answers["name"], names), positions(answers["item_id"], items)] = answers["length"]
    item = positions(judged["item_id"], items)
    found = {f"{side}_length": lengths[positions(judged[side], names), item] for side in ("policy", "opponent")}
    return judged.assign(**found)


@functools.cache
def _detector(*codes: str):
    from lingua import IsoCode639_1, LanguageDetectorBuilder  # slow to import; its models take memory

    chosen = [getattr(IsoCode639_1, code.upper()) for code in codes or ["en"]]
    return LanguageDetectorBuilder.from_iso_codes_639_1(*chosen).build()


def detect_languages(answers: pd.DataFrame, languages: Sequence[str], least_letters: int = 20) -> pd.Series:
    """Detect the language of each answer with lingua.

    Parameters
    ----------
    answers : data frame with language and text.
    languages : the languages of the experiment. lingua chooses only among these, and reads only the first `EXCERPT`
        characters of a text, because its run time grows with the square of the length of a word.
    least_letters : minimum number of letters; kana and Chinese characters count as three letters each.

    Returns
    -------
    ISO 639-1 codes by the index of `answers`; empty if lingua finds no language, and null for too few letters.
    """
    detector = _detector(*lingua_codes(languages))
    letters = answers["text"].str.count(r"[^\W\d_]") + 2 * answers["text"].str.count("[\u3040-\u9fff]")
    identifiable = {code for code in languages if lingua_code(code)}
    long_enough = letters.ge(least_letters) & answers["language"].isin(identifiable)
    found = detector.detect_languages_in_parallel_of(answers.loc[long_enough, "text"].str[:EXCERPT].tolist())
    names = [language.iso_code_639_1.name.lower() if language else "" for language in found]
    detected = pd.Series(None, index=answers.index, dtype=object)
    detected[long_enough] = names
    return detected


def wrong_languages(answers: pd.DataFrame, detected: pd.Series) -> pd.DataFrame:
    """Measure the share of answers whose language differs from the prompt's.

    Answers to prompts in a language that lingua can't identify are excluded.

    Parameters
    ----------
    answers : data frame with name (of the model) and language.
    detected : output of :func:`detect_languages`.

    Returns
    -------
    name, language (and ``all``), answers (whose language was detected), short (excluded answers), wrong, wrong_percent,
    instead (the most frequent wrong language, or empty).
    """
    frame = answers[["name", "language"]].assign(_long_enough=detected.notna(), _found=detected.astype(object))
    pairs = zip(frame["_found"], frame["language"], strict=True)
    wrong = [not found or is_wrong_language(found, code) for found, code in pairs]
    frame["_wrong"] = frame["_long_enough"] & np.array(wrong, dtype=bool)
    rows = []
    for name, of_model in frame.groupby("name", sort=False):
        for language in [ALL, *dict.fromkeys(of_model["language"])]:
            here = of_model if language == ALL else of_model[of_model["language"].eq(language)]
            instead = here.loc[here["_wrong"], "_found"].value_counts()
            rows.append({
                "name": name, "language": language, "answers": int(here["_long_enough"].sum()),
                "short": int((~here["_long_enough"]).sum()), "wrong": int(here["_wrong"].sum()),
                "wrong_percent": 100 * here["_wrong"].sum() / max(here["_long_enough"].sum(), 1),
                "instead": instead.index[0] if len(instead) else "",
            })  # fmt: skip
    return pd.DataFrame(rows)


def flag_answers(answers: pd.DataFrame, detected: pd.Series) -> pd.DataFrame:
    """List the faults of the answers.

    Parameters
    ----------
    answers : data frame with name (of the model), language, item_id, text and finish_reason.
    detected : output of :func:`detect_languages`.

    Returns
    -------
    name, language, item_id and flag (one of `ANSWER_FLAGS`); an answer with several faults has several rows.
    """
    found = {
        "wrong_language": detected.notna() & detected.ne(answers["language"]),
        "truncated": answers["finish_reason"].eq("length"),
        "repeats": answers["text"].map(repetition).ge(LOOP),
    }
    columns = ["name", "language", "item_id"]
    listed = [answers.loc[found[flag], columns].assign(flag=flag) for flag in ANSWER_FLAGS]
    return pd.concat(listed, ignore_index=True)
