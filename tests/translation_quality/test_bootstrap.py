"""Scores computed on arrays, compared with sacreBLEU's, and resamples, compared with its paired bootstrap."""

import numpy as np
import pandas as pd
import pytest
import synthetic
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import PairedTest

from polypref.translation_quality.bootstrap import bleu_scores, bootstrap_metrics, chrf_scores, compare_translators
from polypref.translation_quality.scores import score_language, score_of, segment_statistics


def texts(noise: float) -> tuple[list[str], list[str]]:
    segments = synthetic.segments("de", 48)
    return synthetic.translations(segments, noise)["text"].tolist(), segments["reference"].tolist()


@pytest.mark.parametrize("noise", [0.02, 0.3, 0.8, 1.0])
def test_array_scores_equal_sacrebleus(noise):
    hypotheses, references = texts(noise)
    hypotheses[0], hypotheses[1] = "", "Der"
    for metric, formula in ((BLEU(references=[references]), bleu_scores),
                            (CHRF(word_order=2, references=[references]), chrf_scores)):  # fmt: skip
        statistics = segment_statistics(metric, hypotheses)
        rng = np.random.default_rng(1)
        sums = np.stack([statistics[rng.integers(0, 48, 48)].sum(axis=0) for _ in range(50)] + list(statistics))
        assert np.allclose(formula(sums.astype(float)), [score_of(metric, row) for row in sums], rtol=1e-12)


def test_resamples_agree_with_sacrebleus_paired_bootstrap():
    """With one segment per block, intervals and decisions agree with sacreBLEU's paired bootstrap."""
    (good, references), (weak, _) = texts(0.25), texts(0.32)
    metrics = {"BLEU": BLEU(references=[references]), "CHRF": CHRF(word_order=2, references=[references])}
    systems = [("weak", weak), ("good", good)]
    _, found = PairedTest(systems, metrics, None, test_type="bs", n_samples=2000)()
    statistics = {
        name: {"bleu": segment_statistics(metrics["BLEU"], hypotheses),
               "chrf": segment_statistics(metrics["CHRF"], hypotheses),
               "bleu_sentences": np.zeros(48), "chrf_sentences": np.zeros(48)}
        for name, hypotheses in systems
    }  # fmt: skip
    drawn = bootstrap_metrics(statistics, pd.Series(range(48)), 10_000)
    scores = {name: {"bleu_corpus": score_of(metrics["BLEU"], s["bleu"].sum(axis=0)), "bleu_sentence_mean": 0.0,
                     "chrf_corpus": score_of(metrics["CHRF"], s["chrf"].sum(axis=0)), "chrf_sentence_mean": 0.0}
              for name, s in statistics.items()}  # fmt: skip
    rows = {row["metric"]: row for row in compare_translators(scores, drawn, 48)}
    for key, metric in (("BLEU", "bleu_corpus"), ("CHRF", "chrf_corpus")):
        theirs = found[key] if key in found else next(v for k, v in found.items() if k.upper().startswith(key))
        assert drawn[metric][:, 1].mean() == pytest.approx(theirs[1].mean, abs=0.5)
        half = np.quantile(drawn[metric][:, 1], [0.025, 0.975])
        assert (half[1] - half[0]) / 2 == pytest.approx(theirs[1].ci, rel=0.1)
        assert rows[metric]["p_value"] == pytest.approx(theirs[1].p_value, abs=0.03)


def test_whole_documents_are_resampled():
    """Repeating the segments of a document adds no information, so the interval does not change."""
    segments = synthetic.segments("de", 24)
    weak = synthetic.translations(segments, 0.4)
    twice = [pd.concat([f, f.assign(item_id=f["item_id"] + "b")], ignore_index=True) for f in (segments, weak)]
    own = segments.assign(document_id=segments["item_id"])
    one = score_language(own, {"weak": weak}, "13a", "de", 500)[0][0]
    both = twice[0].assign(document_id=twice[0]["item_id"].str.rstrip("b"))
    two = score_language(both, {"weak": twice[1]}, "13a", "de", 500)[0][0]
    assert one["documents"] == two["documents"] == 24
    for metric in ("bleu_corpus", "chrf_sentence_mean"):
        assert one[f"{metric}_low"] == pytest.approx(two[f"{metric}_low"], abs=1e-3)
        assert one[f"{metric}_low"] < one[metric] < one[f"{metric}_high"]
