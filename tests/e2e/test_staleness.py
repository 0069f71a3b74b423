"""Edits of the configuration, and the jobs that they make stale in a dry run on the finished miniature.

The tests state exact numbers of jobs. docs/staleness.md documents the same behaviour.
"""

import copy

import pytest

HEALTH = {"tabulate_health": 1}
TABLES_OF_VERDICTS = {"tabulate_win_rates": 1, "plot_results": 1}
PAGE = {"build_report": 1}
COST = {"tabulate_cost": 1}
VERDICTS = {"ask_verdicts": 36, "complete": 1, "collect_verdicts": 36, **TABLES_OF_VERDICTS, **COST, **PAGE}


def edited(config: dict, *changes: tuple[str, object]) -> dict:
    """Copy a configuration and set values by dotted path."""
    new = copy.deepcopy(config)
    for path, value in changes:
        *parents, last = path.split(".")
        section = new
        for name in parents:
            section = section.setdefault(name, {})
        section[last] = value
    return new


def plan(miniature, *changes) -> dict[str, int]:
    jobs = miniature.planned(config=edited(miniature.config, *changes))
    for rule in ("all", "write_settings"):
        jobs.pop(rule, None)
    return jobs


@pytest.mark.parametrize(
    "change",
    [
        ("languages", ["zh", "ru", "nl", "ja", "is", "es", "de", "ar", "en"]),
        ("wmt.translators", ["nllb", "weak", "strong", "strong-beam"]),
        ("evaluation.opponents", ["mid", "weak"]),
        ("training.runtime", {"launcher": "cpu", "gpus": 0, "threads": 1, "save_steps": 3, "memory_gb": 9, "hours": 3}),
        ("report.title", None),
    ],
    ids=["languages reordered", "translators reordered", "opponents reordered", "runtime of training", "no change"],
)
def test_no_job_is_stale(miniature, change):
    if change[1] is None:
        assert plan(miniature) == {}
    else:
        assert plan(miniature, change) == {}


def test_a_new_title_reruns_the_report_and_the_cards(miniature):
    assert plan(miniature, ("report.title", "Another")) == {"build_report": 1, "write_card": 3}


def test_another_style_reruns_only_the_figures(miniature):
    (miniature.folder / "my.mplstyle").write_text("font.size: 11\n", encoding="utf-8")
    figures = ("plot_results", "plot_training", "plot_translation_heatmaps")
    assert plan(miniature, ("figures.style", "my.mplstyle")) == {**dict.fromkeys(figures, 1), **PAGE}


def test_another_judge_reruns_only_the_verdicts(miniature):
    assert plan(miniature, ("judging.judge", "strong")) == {**VERDICTS, **HEALTH, "ask_sanity": 1}


def test_another_judging_mode_reruns_only_the_tables(miniature):
    assert plan(miniature, ("judging.mode", "paper")) == {**TABLES_OF_VERDICTS, **HEALTH, **PAGE}


def test_a_rater_runs_only_its_batch_and_what_shows_ratings(miniature):
    shown = {"diagnose_pairs": 3, "tabulate_datasets": 1, "plot_results": 1, "write_card": 3, **HEALTH, **PAGE}
    jobs = plan(miniature, ("rating", {"rater": "judge"}))
    assert jobs == {"ask_ratings": 32, "complete": 1, "collect_ratings": 32, **shown, **COST}


def test_another_beta_reruns_training_and_later_rules(miniature):
    jobs = plan(miniature, ("training.beta", 0.2))
    assert jobs["train_policy"] == 3 and jobs["complete"] == 4  # answers of A, B and C, and the judge
    assert jobs["ask_answers"] == jobs["collect_answers"] == 27
    assert not {"ask_translations", "ask_responses", "build_dataset", "sample_pairs"} & set(jobs)


def test_another_temperature_of_the_chosen_generator_does_not_affect_a(miniature):
    generator = {"checkpoint": "strong", "prompt": "x-alma", "split": "lines"}
    config = edited(miniature.config)
    config["models"] = {"chosen": {**generator, "decoding": {"temperature": 0.6, "max_tokens": 64}}}
    for name in "BC":
        config["architectures"][name]["chosen"] = {"generate": "chosen"}
    jobs = miniature.planned(config=config)
    assert jobs["ask_responses"] == 9 and jobs["build_dataset"] == 2 and jobs["train_policy"] == 2
    assert jobs["ask_answers"] == 18 and "ask_translations" not in jobs


def test_removing_a_language_does_not_affect_the_texts_of_others(miniature):
    jobs = plan(miniature, ("languages", ["en", "zh", "de", "is", "ja", "nl", "ru", "es"]))
    assert not {"ask_translations", "collect_translations", "ask_responses", "collect_responses"} & set(jobs)
    assert jobs["build_dataset"] == 3 and jobs["train_policy"] == 3
    assert jobs["score_translations"] == jobs["tabulate_win_rates"] == jobs["tabulate_datasets"] == 1


def test_removing_a_translator_rebuilds_the_tables(miniature):
    # other models share its checkpoint, so the batch runs, and must not hide that the tables are stale
    jobs = plan(miniature, ("wmt.translators", ["strong-beam", "weak", "nllb"]))
    assert jobs["score_translations"] == jobs["plot_translation_heatmaps"] == jobs["complete"] == 1
    assert not {"ask_translations", "collect_translations", "train_policy"} & set(jobs)


def test_a_batch_that_runs_does_not_hide_a_later_change(miniature):
    jobs = plan(miniature, ("wmt.translators", ["strong-beam", "weak", "nllb"]), ("training.beta", 0.2))
    assert jobs["train_policy"] == 3 and jobs["score_translations"] == 1


def test_a_new_architecture_requests_only_what_does_not_exist(miniature):
    new = {**miniature.config["architectures"], "D": {**miniature.config["architectures"]["C"], "chosen": "english"}}
    jobs = plan(miniature, ("architectures", new))
    assert jobs["build_dataset"] == jobs["train_policy"] == 1 and jobs["ask_answers"] == 9
    assert not {"ask_translations", "ask_responses"} & set(jobs)
