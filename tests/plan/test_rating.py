"""What a rater adds to the plan: one file of requests and of ratings per file of translations of the base set."""

from pathlib import Path

import pytest
import yaml

from polypref.config.diagnostics import RATED_FLAGS
from polypref.config.loading import ConfigError, load_config, read_languages
from polypref.plan.plan import Plan
from polypref.plan.settings import expected_texts, rated_fields, settings
from polypref.preflight.estimating import estimate_batches, longest_requests
from polypref.preflight.showing import show

ROOT = Path(__file__).parents[2]
RATER = {"rating": {"rater": "judge"}}


def plan_of(**changes) -> Plan:
    raw = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8")) | changes
    return Plan(load_config(raw, ROOT), read_languages(ROOT))


@pytest.fixture(scope="module")
def rated() -> Plan:
    return plan_of(**RATER)


def test_a_rater_adds_one_batch_with_a_file_per_file_of_translations(rated):
    before, after = plan_of().batches(), rated.batches()
    assert {batch: after[batch] for batch in before} == before
    assert after.keys() - before.keys() == {("rate", "judge")}
    expected = sorted(f"{file.field}/{file.model}/{file.language}" for file in rated.pair_translations())
    assert after["rate", "judge"] == expected


def test_only_translations_are_rated(rated):
    assert rated_fields(rated) == {"A": ["prompt", "chosen", "rejected"], "B": ["prompt"], "C": ["prompt", "rejected"]}
    assert rated.ratings("B").keys() == set(rated.config.targets), "English is never translated"
    assert rated.ratings("A")["de"]["prompt"] == rated.ratings("B")["de"]["prompt"], "the same text is rated once"
    assert not plan_of(**RATER, languages=["en"]).rated()


def test_without_a_rater_no_setting_changes(rated):
    plain = plan_of()
    assert not plain.rated() and not any(plain.ratings(name) for name in plain.architectures)
    for what in ("tables", "dataset.A"):
        assert "rating" not in str(settings(plain, what))
    assert "rating" not in expected_texts(plain, "A") and not set(RATED_FLAGS) & set(plain.config.dropped_flags)
    strict = {"diagnostics": {"drop": "strict"}}
    assert not set(RATED_FLAGS) & set(plan_of(**strict).config.dropped_flags)
    assert set(RATED_FLAGS) <= set(plan_of(**strict, **RATER).config.dropped_flags)


def test_a_threshold_changes_no_request_and_a_data_set_only_if_pairs_are_left_out(rated):
    lower = {"rating": {"rater": "judge", "threshold": 30}}
    other = plan_of(**lower)
    assert settings(other, "rating") == settings(rated, "rating")
    assert settings(other, "dataset.A") == settings(rated, "dataset.A")
    assert expected_texts(other, "A") != expected_texts(rated, "A")
    assert settings(other, "tables") == settings(rated, "tables")
    assert settings(other, "rating_table") != settings(rated, "rating_table")
    drop = {"diagnostics": {"drop": ["chosen_low_rating"]}}
    assert settings(plan_of(**drop, **lower), "dataset.A") != settings(plan_of(**drop, **RATER), "dataset.A")


def test_another_rater_or_parser_changes_only_the_settings_of_ratings(rated):
    for change in ({"rater": "strong"}, {"rater": "judge", "parser": "json"}):
        other = plan_of(rating=change)
        assert settings(other, "rating") != settings(rated, "rating")
        for what in ("dataset.A", "tables", "rating_table", "judge"):
            assert settings(other, what) == settings(rated, what)


def test_the_batch_is_estimated_and_shown(rated):
    (row,) = [row for row in estimate_batches(rated, Path("none"), {}) if row["task"] == "rate"]
    assert row["requests"] == len(rated.rated()) * rated.config.sampling.items
    prompt, answer = longest_requests(rated, Path("none"))["rate", "judge"]
    assert prompt > rated.config.sampling.max_tokens and answer == rated.config.rating.decoding.max_tokens
    text = show(rated, Path("none"), {"judge": "", "rate": "{source} -> {translation}"}, lambda row: None)
    assert "=== rate/judge" in text and "<chosen in English> -> <its translation into Arabic>" in text


def test_comet_kiwi_rates_the_same_files_without_a_batch(rated):
    kiwi = plan_of(rating={"comet_kiwi": "Unbabel/wmt22-cometkiwi-da"})
    assert kiwi.rated() == rated.rated() and rated_fields(kiwi) == rated_fields(rated)
    assert kiwi.batches() == plan_of().batches()
    assert settings(kiwi, "rating")["comet_kiwi"] and settings(kiwi, "rating") != settings(rated, "rating")
    assert settings(kiwi, "dataset.A") == settings(rated, "dataset.A")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rating": {"rater": "judge", "comet_kiwi": "x.ckpt"}}, r"rating\.comet_kiwi: found 'x\.ckpt'; allowed: none"),
        ({"rating": {"rater": "nobody"}}, r"rating\.rater: found 'nobody'; allowed: a checkpoint"),
        ({"rating": {"rater": "nllb"}}, r"rating\.rater: found 'nllb'; allowed: a checkpoint of engine"),
        ({"rating": {"rater": "judge", "prompt": "no.txt"}}, r"rating\.prompt: found 'no\.txt'"),
        (
            {"rating": {"rater": "judge", "prompt": "resources/prompts/judge.txt"}},
            r"rating\.prompt: found \{answer_a\}, .* allowed: \{source\} and \{translation\}",
        ),
        ({"rating": {"rater": "judge", "threshold": 101}}, r"rating\.threshold: found 101"),
        ({"rating": {"rater": "judge", "decoding": {"beam_size": 5}}}, r"rating\.decoding\.beam_size: found 5"),
        ({"diagnostics": {"drop": ["chosen_low_rating"]}}, r"found 'chosen_low_rating'; .* needs `rating\.rater`"),
    ],
)
def test_an_invalid_rater_is_reported(changes, message):
    with pytest.raises(ConfigError, match=message):
        plan_of(**changes)
