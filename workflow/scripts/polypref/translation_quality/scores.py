"""BLEU and chrF++ of translations against WMT24++ references, computed with sacreBLEU.

Each metric is computed from a matrix of sacreBLEU's sufficient statistics per segment. The sum over segments gives the
corpus score, and each row gives a sentence score. A reference is tokenised once per language, and a hypothesis once per
metric.
"""

import itertools
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd
from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from polypref.evaluation.bootstrap import DRAWS
from polypref.files.ids import name_ids
from polypref.files.result_tables import TableError, is_error
from polypref.translation_quality.bootstrap import (
    METRICS,
    adjust_comparisons,
    bootstrap_metrics,
    chrf_scores,
    compare_translators,
    intervals,
)

COLUMNS = [
    "translator", "language", "segments", "errors",
    "bleu_corpus", "bleu_sentence_mean", "chrf_corpus", "chrf_sentence_mean",
    *(f"{name}_{end}" for name in METRICS for end in ("low", "high")), "documents",
    "signature_bleu", "signature_bleu_sentence", "signature_chrf", "signature_chrf_sentence",
]  # fmt: skip
COMPARISON = [
    "language", "metric", "translator", "other", "score", "other_score", "difference", "low", "high", "p_value",
    "documents",
]  # fmt: skip


def align(segments: pd.DataFrame, texts: pd.DataFrame, where: str) -> pd.DataFrame:
    """Join each translation with its reference by ``item_id``.

    A row with an ``error`` keeps its segment and gets an empty hypothesis, so that all translators are scored on the
    same segments and a failure counts as a missing translation. The number of such rows is reported with the score.

    Parameters
    ----------
    segments : schema SEGMENTS, one language.
    texts : schema TEXTS, one translator's output for that language.
    where : name of the input for error messages, for example ``"nllb-200, is"``.

    Returns
    -------
    DataFrame in the order of `segments`: item_id, document_id, reference, hypothesis, failed (bool).

    Raises
    ------
    TableError
        Ids are duplicated, missing or not in the segments; the message names them.
    """
    for name, frame in (("segments", segments), ("translations", texts)):
        twice = frame.loc[frame["item_id"].duplicated(), "item_id"].unique()
        if len(twice):
            raise TableError(f"{where}: item_id occurs more than once in the {name}: {name_ids(twice)}")
    wanted, found = set(segments["item_id"]), set(texts["item_id"])
    if wanted != found:
        complaints = [
            f"{len(ids)} {kind}: {name_ids(ids)}"
            for kind, ids in (("missing", wanted - found), ("not in the segments", found - wanted))
            if ids
        ]
        raise TableError(f"{where}: translations and segments differ; " + "; ".join(complaints))
    aligned = segments[["item_id", "document_id", "reference"]].merge(
        texts[["item_id", "text", "error"]], on="item_id", validate="one_to_one"
    )
    failed = is_error(aligned["error"])
    return aligned.assign(hypothesis=aligned["text"].where(~failed, "").fillna(""), failed=failed).drop(
        columns=["text", "error"]
    )


def segment_statistics(metric: Metric, hypotheses: Iterable[str]) -> np.ndarray:
    """Compute sacreBLEU's sufficient statistics of each segment against the cached references of a metric.

    Parameters
    ----------
    metric : created with ``references=``, in the order of `hypotheses`.
    hypotheses : one string per segment.

    Returns
    -------
    Array (segments, statistics). :func:`score_of` turns any sum of rows into a score: all rows for the corpus, one row
    for a sentence, or rows resampled with replacement for a bootstrap, as in sacreBLEU's own significance tests.
    """
    return np.asarray(metric._extract_corpus_statistics(list(hypotheses), None))


def score_of(metric: Metric, statistics: np.ndarray) -> float:
    """Compute the score, 0 to 100, from one vector of statistics."""
    return metric._compute_score_from_stats(statistics.tolist()).score


def reference_streams(segments: pd.DataFrame) -> list[list[str | None]]:
    """Return the references as sacreBLEU takes them: one list per reference, None where a segment has fewer."""
    if "references" not in segments:
        return [segments["reference"].tolist()]
    return [list(stream) for stream in itertools.zip_longest(*segments["references"])]


def score_language(
    segments: pd.DataFrame,
    translations: Mapping[str, pd.DataFrame],
    tokenizer: str,
    language: str,
    draws: int = DRAWS,
    seed: int = 1,
) -> tuple[list[dict], list[dict]]:
    """Score all translators of one language.

    Parameters
    ----------
    segments : schema SEGMENTS or OWN_SEGMENTS (with several references), one language.
    translations : for each translator, a table with the schema TEXTS.
    tokenizer : sacreBLEU's tokeniser: ``ja-mecab`` for Japanese, ``zh`` for Chinese, otherwise ``13a``.
    language : ISO 639-1 code, copied to the result.
    draws, seed : number of resamples and seed of the bootstrap over documents.

    Returns
    -------
    One dict per translator with the keys `COLUMNS`, and one per metric and pair of translators
    (:func:`.compare_translators`). Scores are 0 to 100. ``*_sentence_mean`` is the unweighted
    mean over segments; sentence BLEU uses ``effective_order``, as sacreBLEU recommends for single sentences. ``*_low``
    and ``*_high`` are 95% intervals over documents.

    Raises
    ------
    TableError
        There are no segments, or ids do not match (:func:`align`).
    """
    if segments.empty:
        raise TableError(f"{language}: no segments to score against")
    references = reference_streams(segments)
    # The statistics do not depend on effective_order, so corpus and sentence BLEU share one cache.
    bleu, sentence_bleu = (
        BLEU(tokenize=tokenizer, references=references),
        BLEU(tokenize=tokenizer, effective_order=True),
    )
    chrf = CHRF(word_order=2, references=references)
    sentence_bleu.num_refs = bleu.num_refs
    rows, statistics = [], {}
    for translator, texts in translations.items():
        aligned = align(segments, texts, f"{translator}, {language}")
        bleu_statistics = segment_statistics(bleu, aligned["hypothesis"])
        chrf_statistics = segment_statistics(chrf, aligned["hypothesis"])
        statistics[translator] = {
            "bleu": bleu_statistics, "chrf": chrf_statistics,
            "bleu_sentences": np.array([score_of(sentence_bleu, row) for row in bleu_statistics]),
            "chrf_sentences": chrf_scores(chrf_statistics),
        }  # fmt: skip
        rows.append({
            "translator": translator, "language": language,
            "segments": len(aligned), "errors": int(aligned["failed"].sum()),
            "bleu_corpus": score_of(bleu, bleu_statistics.sum(axis=0)),
            "bleu_sentence_mean": float(statistics[translator]["bleu_sentences"].mean()),
            "chrf_corpus": score_of(chrf, chrf_statistics.sum(axis=0)),
            "chrf_sentence_mean": float(statistics[translator]["chrf_sentences"].mean()),
            "signature_bleu": bleu.get_signature().format(),
            "signature_bleu_sentence": sentence_bleu.get_signature().format(),
            "signature_chrf": chrf.get_signature().format(),
            "signature_chrf_sentence": chrf.get_signature().format(),
        })  # fmt: skip
    documents = segments["document_id"].nunique()
    drawn = bootstrap_metrics(statistics, segments["document_id"], draws, seed)
    for metric, (low, high) in intervals(drawn, documents).items():
        for number, row in enumerate(rows):
            row |= {f"{metric}_low": low[number], f"{metric}_high": high[number], "documents": documents}
    compared = compare_translators({row["translator"]: row for row in rows}, drawn, documents)
    return rows, [{"language": language} | row for row in compared]


def _score_task(task: tuple) -> tuple[list[dict], list[dict]]:
    return score_language(*task)


def score_translations(
    segments: Mapping[str, pd.DataFrame],
    translations: Mapping[tuple[str, str], pd.DataFrame],
    tokenizers: Mapping[str, str],
    processes: int = 1,
    draws: int = DRAWS,
    seed: int = 1,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score every translator in every language that it supports.

    Parameters
    ----------
    segments : for each language, a table with the schema SEGMENTS.
    translations : for each (translator, language), a table with the schema TEXTS; unsupported languages are absent.
    tokenizers : for each language, sacreBLEU's tokeniser.
    processes : number of languages scored in parallel; the result does not depend on it.
    draws, seed : number of resamples and seed of the bootstrap over documents.

    Returns
    -------
    A data frame with `COLUMNS`, in the order of `translations`, and one with a row per language, metric and pair of
    translators, with p_adjusted (Benjamini-Hochberg over the rows of a metric).

    Raises
    ------
    TableError
        A language has no segments or no tokeniser, or ids do not match.
    """
    languages = list(dict.fromkeys(language for _, language in translations))
    for what, known in (("segments", segments), ("tokeniser", tokenizers)):
        unknown = [language for language in languages if language not in known]
        if unknown:
            raise TableError(f"no {what} for {', '.join(unknown)}; available for {', '.join(known)}")
    tasks = [
        (
            segments[code],
            {t: f for (t, other), f in translations.items() if other == code},
            tokenizers[code],
            code,
            draws,
            seed,
        )
        for code in languages
    ]
    if processes > 1 and len(tasks) > 1:
        with ProcessPoolExecutor(min(processes, len(tasks))) as pool:
            scored = list(pool.map(_score_task, tasks))
    else:
        scored = list(map(_score_task, tasks))
    order = {pair: position for position, pair in enumerate(translations)}
    rows = sorted(
        (row for rows, _ in scored for row in rows), key=lambda row: order[row["translator"], row["language"]]
    )
    compared = pd.DataFrame([row for _, rows in scored for row in rows], columns=COMPARISON)
    return pd.DataFrame(rows, columns=COLUMNS), adjust_comparisons(compared)
