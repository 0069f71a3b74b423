"""Length bias of a judge, and faults of the answers: a wrong language, truncation, repetition."""

import functools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special

from polypref.datasets.diagnostics import EXCERPT, LOOP, repetition
from polypref.datasets.identification import is_wrong_language, lingua_code, lingua_codes
from polypref.evaluation.fractional_logit import fractional_logit
from polypref.evaluation.win_rates import ALL

WORTH = {"policy": 1.0, "opponent": 0.0, "tie": 0.5}
ANSWER_FLAGS = ("wrong_language", "truncated", "repeats")
"""Faults of an answer, found without a judge."""


def _equal_length(rows: pd.DataFrame) -> dict[str, float]:
    """Estimate the score at equal length (percent, with its 95% interval) and the slope per standard deviation."""
    names = ("score_equal_length", "score_equal_length_low", "score_equal_length_high", "length_slope")
    clusters = pd.factorize(rows["prompt_id"])[0]
    length, worth = rows["_length"].to_numpy(), rows["_worth"].to_numpy()
    enough = clusters.max(initial=0) >= 9 and length.std() > 0 and worth.min() < worth.max()
    fit = fractional_logit(worth, length, clusters) if enough else None
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
    known = judged["status"].eq("parsed")
    parsed = judged.loc[known, ["prompt_id", "policy", "opponent"]]
    length = (judged["policy_length"] - judged["opponent_length"])[known].astype(float)
    parsed["_worth"] = judged.loc[known, "verdict"].map(WORTH).astype(float)
    parsed["_longer"] = parsed["_worth"].eq((1 + np.sign(length)) / 2)
    parsed["_decided"] = parsed["_worth"].ne(0.5) & length.ne(0) & length.notna()
    spread = length.groupby(judged["language"]).std()
    length /= judged.loc[known, "language"].map(spread.where(spread > 0)).astype(float)
    parsed["_length"] = length.fillna(0.0)
    rows = []
    pairs = judged[["policy", "opponent"]].drop_duplicates().itertuples(index=False, name=None)
    for policy, opponent in [(ALL, ALL), *pairs]:
        here = parsed
        if policy != ALL:
            here = parsed[parsed["policy"].eq(policy) & parsed["opponent"].eq(opponent)]
        decided = here.loc[here["_decided"], "_longer"]
        rows.append({
            "policy": policy, "opponent": opponent, "judgements": len(here), "decided": len(decided),
            "longer_percent": 100 * decided.mean(), "score": 100 * here["_worth"].mean(),
            **_equal_length(here),
        })  # fmt: skip
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
    names, items = pd.Index(answers["name"].unique()), pd.Index(answers["item_id"].unique())
    # the last row and column are for missing answers
    lengths = np.full((len(names) + 1, len(items) + 1), np.nan, np.float32)
    lengths[names.get_indexer(answers["name"]), items.get_indexer(answers["item_id"])] = answers["length"]
    item = items.get_indexer(judged["item_id"])
    return judged.assign(
        **{f"{side}_length": lengths[names.get_indexer(judged[side]), item] for side in ("policy", "opponent")}
    )


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
    frame = answers[["name", "language"]].assign(_long_enough=detected.notna(), _found=detected)
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
