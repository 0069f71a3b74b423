"""Translation scores, compared with sacreBLEU's public functions, and alignment by id."""

import math

import pandas as pd
import pytest
import synthetic
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from polypref.figures.translation_quality import heatmap_frame, plot_heatmap
from polypref.files.tables import TableError
from polypref.translation_quality.scores import COLUMNS, align, score_language, score_translations


@pytest.mark.parametrize(("language", "tokenizer"), [("de", "13a"), ("ja", "ja-mecab"), ("zh", "zh"), ("ar", "13a")])
def test_scores_equal_sacrebleus(language, tokenizer):
    segments = synthetic.segments(language)
    texts = synthetic.translations(segments, 0.3).sample(frac=1, random_state=1)  # rows in another order
    ((row,), _) = score_language(segments, {"weak": texts}, tokenizer, language, 100)

    hypotheses = texts.set_index("item_id")["text"].loc[segments["item_id"]].tolist()
    references = segments["reference"].tolist()
    bleu, sentence, chrf = BLEU(tokenize=tokenizer), BLEU(tokenize=tokenizer, effective_order=True), CHRF(word_order=2)
    pairs = list(zip(hypotheses, references, strict=True))
    assert row["bleu_corpus"] == pytest.approx(bleu.corpus_score(hypotheses, [references]).score)
    assert row["chrf_corpus"] == pytest.approx(chrf.corpus_score(hypotheses, [references]).score)
    assert row["bleu_sentence_mean"] == pytest.approx(
        sum(sentence.sentence_score(h, [r]).score for h, r in pairs) / len(pairs)
    )
    assert row["chrf_sentence_mean"] == pytest.approx(
        sum(chrf.sentence_score(h, [r]).score for h, r in pairs) / len(pairs)
    )
    assert row["signature_bleu"] == str(bleu.get_signature())
    assert row["signature_bleu_sentence"] == str(sentence.get_signature())
    assert row["signature_chrf"] == row["signature_chrf_sentence"] == str(chrf.get_signature())


def test_a_stronger_translator_scores_higher_and_absent_languages_stay_absent():
    segments = {code: synthetic.segments(code) for code in ("de", "is")}
    translations = {("good", code): synthetic.translations(segments[code], 0.1) for code in segments}
    translations["weak", "de"] = synthetic.translations(segments["de"], 0.5)
    table, compared = score_translations(segments, translations, {"de": "13a", "is": "13a"})
    assert table.columns.tolist() == COLUMNS
    assert table[["translator", "language"]].values.tolist() == [["good", "de"], ["good", "is"], ["weak", "de"]]
    assert table.loc[0, "bleu_corpus"] > table.loc[2, "bleu_corpus"]
    two = score_translations(segments, translations, {"de": "13a", "is": "13a"}, processes=2)
    assert two[0].equals(table) and two[1].equals(compared)
    assert len(compared) == 4 and (compared["low"] > 0).all() and (compared["p_adjusted"] < 0.05).all()


def test_an_error_is_an_empty_hypothesis_and_is_counted():
    segments = synthetic.segments("de")
    texts = synthetic.translations(segments, 0.0)
    texts.loc[0, ["text", "error"]] = ["Traceback: this is no translation", "timeout"]
    ((row,), _) = score_language(segments, {"good": texts}, "13a", "de", 100)
    assert (row["segments"], row["errors"]) == (24, 1)
    assert row["bleu_sentence_mean"] == pytest.approx(100 * 23 / 24)
    assert align(segments, texts, "good, de")["hypothesis"][0] == ""


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda t: t.drop(index=[3]), "1 missing: doc0:3"),
        (
            lambda t: t.assign(item_id=t["item_id"].replace("doc1:0", "docX")),
            "1 missing: doc1:0; 1 not in the segm.*docX",
        ),
        (lambda t: t.assign(item_id=t["item_id"].replace("doc1:0", "doc0:0")), "more than once.*doc0:0"),
    ],
)
def test_ids_that_do_not_match_are_named(change, complaint):
    segments = synthetic.segments("de")
    with pytest.raises(TableError, match=f"weak, de: .*{complaint}"):
        score_language(segments, {"weak": change(synthetic.translations(segments, 0.2))}, "13a", "de")


def test_no_tokeniser_and_no_segments():
    segments = synthetic.segments("de")
    texts = {("good", "de"): synthetic.translations(segments, 0.1)}
    with pytest.raises(TableError, match="no tokeniser for de"):
        score_translations({"de": segments}, texts, {"zh": "zh"})
    with pytest.raises(TableError, match="de: no segments"):
        score_translations({"de": segments.head(0)}, texts, {"de": "13a"})


def test_heatmap_orders_by_the_shared_languages_and_leaves_blanks():
    segments = {code: synthetic.segments(code) for code in ("de", "is")}
    noise = {("all", "de"): 0.2, ("all", "is"): 0.9, ("some", "de"): 0.4}
    texts = {(name, code): synthetic.translations(segments[code], x) for (name, code), x in noise.items()}
    scores, _ = score_translations(segments, texts, {"de": "13a", "is": "13a"}, draws=100)
    wide = heatmap_frame(scores, "chrf_sentence_mean", ["is", "de"])
    # "some" does not support the hard language; with the mean over its own languages, it would rank first
    assert wide.index.tolist() == ["all", "some"]
    assert wide.columns.tolist() == ["is", "de", "mean"]
    assert math.isnan(wide.at["some", "is"])
    assert wide["mean"].equals(wide["de"].rename("mean"))
    shown = {text.get_text() for text in plot_heatmap(wide, "chrF++", {"de": "German"}).axes[0].texts}
    assert shown == {"–", *(f"{value:.2f}" for value in wide.to_numpy().ravel() if not math.isnan(value))}


def test_several_references_score_as_sacrebleu_does_with_a_variable_number():
    references = [
        ["the cat sat here", "a cat was here"],
        ["dogs run fast"],
        ["one two three four", "five six seven eight"],
    ]
    hypotheses = ["a cat was here", "dogs run quickly", "five six seven nine"]
    ids = [f"d:{n}" for n in range(3)]
    segments = pd.DataFrame({
        "item_id": ids, "document_id": "d", "reference": [refs[0] for refs in references], "references": references
    })  # fmt: skip
    texts = pd.DataFrame({"item_id": ids, "text": hypotheses, "error": None})
    rows, _ = score_language(segments, {"mine": texts}, "13a", "en", draws=10)
    streams = [[refs[n] if n < len(refs) else None for refs in references] for n in range(2)]
    assert rows[0]["bleu_corpus"] == pytest.approx(BLEU(tokenize="13a").corpus_score(hypotheses, streams).score)
    assert rows[0]["chrf_corpus"] == pytest.approx(CHRF(word_order=2).corpus_score(hypotheses, streams).score)
    assert "nrefs:var" in rows[0]["signature_bleu"] and "nrefs:var" in rows[0]["signature_bleu_sentence"]
    one, _ = score_language(segments.drop(columns="references"), {"mine": texts}, "13a", "en", draws=10)
    assert one[0]["bleu_corpus"] < rows[0]["bleu_corpus"]
