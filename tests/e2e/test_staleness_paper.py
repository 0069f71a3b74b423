"""Edits of the published configuration, and the files that they make stale.

The published experiment can't run here. Its files are created empty and marked as finished (``--touch``), so that
Snakemake records their parameters and inputs. Each edit is then a dry run whose stale files are compared.
"""

import copy
import re

import pytest
import yaml
from runs import ROOT, Run

LEFT_OUT = "es"
FOLDERS = ["results/report/data"]


def registry_entry(section: str, name: str) -> dict:
    return yaml.safe_load((ROOT / "resources/models.yaml").read_text(encoding="utf-8"))[section][name]


@pytest.fixture(scope="module")
def paper(tmp_path_factory) -> Run:
    """The published experiment without one of its languages, marked as finished."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    config["languages"].remove(LEFT_OUT)
    run = Run(tmp_path_factory.mktemp("paper"), config)
    for path in summary(run):
        (run.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (run.folder / path).mkdir() if path in FOLDERS else (run.folder / path).touch()
    run.snakemake("--touch", "--forceall", "--quiet", "all")
    return run


def summary(run: Run, config: dict | None = None) -> dict[str, tuple[str, bool]]:
    """Return {file: (rule, whether it is stale)} for all files of a configuration."""
    lines = run.snakemake("--summary", config=config).splitlines()
    rows = [line.split("\t") for line in lines if line.startswith("results/")]
    return {path: (rule, plan != "no update") for path, _, rule, _, _, plan in rows}


def stale(run: Run, edit) -> dict[str, set[str]]:
    """Return {rule: stale files} after an edit of the configuration; GPU rules count as their rule without a GPU."""
    config = copy.deepcopy(run.config)
    edit(config)
    found: dict[str, set[str]] = {}
    for path, (rule, pending) in summary(run, config).items():
        if pending and rule != "write_settings":
            found.setdefault(rule.removesuffix("_on_gpu"), set()).add(path)
    return found


def languages_of(paths: set[str]) -> set[str]:
    return {match[1] for path in paths if (match := re.search(r"/([a-z]{2})\.parquet$", path))}


def runtime_of_everything(config: dict) -> None:
    """Change every runtime option of all vLLM checkpoints and of training; beam search needs `tensor_parallel: 1`."""
    registry = yaml.safe_load((ROOT / "resources/models.yaml").read_text(encoding="utf-8"))
    knobs = {"memory_fraction": 0.5, "gpus": 2, "flush_s": 1, "concurrency": 3, "shards": 4}
    knobs |= {"nodes": 2, "max_num_seqs": 7, "threads": 3, "hours": 1, "memory_gb": 5, "max_error_share": 0.5}
    config["checkpoints"] = {
        name: {
            **entry,
            "runtime": {**entry.get("runtime", {}), **knobs, "tensor_parallel": 1 if name.startswith("x-alma") else 2},
        }
        for name, entry in registry["checkpoints"].items()
        if entry["engine"] == "vllm"
    }
    config["training"]["runtime"] |= {"gpus": 4, "nodes": 2, "save_steps": 7, "hours": 3}


def set_at(path: str, value):
    def edit(config: dict) -> None:
        *parents, last = path.split(".")
        for name in parents:
            config = config.setdefault(name, {})
        config[last] = value

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        lambda config: None,
        lambda config: config["languages"].reverse(),
        lambda config: config["wmt"]["translators"].reverse(),
        lambda config: config["evaluation"]["opponents"].reverse(),
        runtime_of_everything,
    ],
    ids=["nothing", "languages reordered", "translators reordered", "opponents reordered", "every runtime knob"],
)
def test_no_file_is_stale(paper, edit):
    assert stale(paper, edit) == {}


def test_a_new_language_affects_itself_and_the_data_sets(paper):
    files = stale(paper, lambda config: config["languages"].append(LEFT_OUT))
    for rule in ("ask_translations", "collect_translations", "collect_responses", "normalise_wmt", "normalise_prompts"):
        assert languages_of(files[rule]) == {LEFT_OUT}, rule
    # responses to English prompts exist already
    assert languages_of(files["ask_responses"]) == {LEFT_OUT}
    opponents = {path for path in files["collect_answers"] if not re.search(r"/answers/[ABC]/", path)}
    assert opponents and languages_of(opponents) == {LEFT_OUT}, "the base and the opponents answer the new language"
    assert files["build_dataset"] >= {f"results/datasets/{name}.parquet" for name in "ABC"}
    assert {path.split("/")[2] for path in files["train_policy"]} == {"A", "B", "C"}


def test_removing_a_language_affects_no_texts(paper):
    files = stale(paper, lambda config: config["languages"].remove("ja"))
    assert not {"ask_translations", "collect_translations", "ask_responses", "collect_responses"} & set(files)
    assert {path.split("/")[2] for path in files["train_policy"]} == {"A", "B", "C"}


def test_another_judge_affects_verdicts_and_tables(paper):
    files = stale(paper, set_at("judging.judge", "qwen2.5-14b"))
    rerun = {rule for rule in files if not re.match("tabulate|plot|build_report", rule)}
    assert rerun == {"check_before_gpu", "ask_verdicts", "ask_sanity", "complete", "collect_verdicts"}, (
        "the new judge is checked first"
    )
    assert len(files["collect_verdicts"]) == 4 * 8
    assert files["complete"] == {f"results/completions/judge/qwen2.5-14b.{end}" for end in ("parquet", "cost.json")}


def test_another_temperature_of_the_chosen_generator_affects_b_and_c(paper):
    entry = registry_entry("models", "command-r-35b")
    entry["decoding"]["temperature"] = 0.3
    files = stale(paper, set_at("models", {"command-r-35b": entry}))
    assert all("/command-r-35b/" in path for path in files["collect_responses"])
    assert {path.split("/")[2] for path in files["train_policy"]} == {"B", "C"}
    assert {path.split("/")[2] for path in files["collect_answers"]} == {"B", "C"}
    assert {path.split("/")[2] for path in files["collect_verdicts"]} == {"B", "C"}
    assert {path for path in files["build_dataset"] if "/A." in path} == set()
    assert "ask_translations" not in files and "score_translations" not in files


def test_another_beta_affects_training_and_later_rules(paper):
    files = stale(paper, set_at("training.beta", 0.2))
    assert {path.split("/")[2] for path in files["collect_answers"]} == {"A", "B", "C"}
    assert not {"build_dataset", "ask_translations", "ask_responses", "score_translations"} & set(files)


@pytest.mark.parametrize(
    "deleted",
    ["pairs.parquet", "datasets/A.parquet", "policies/A/policy.json", "verdicts/A/de.parquet", "tables/cost.csv"],
)
def test_a_result_that_a_failed_job_deleted_is_stale(paper, deleted):
    moved = paper.folder / "moved"
    (paper.results / deleted).rename(moved)
    try:
        assert f"results/{deleted}" in set().union(*stale(paper, lambda config: None).values())
    finally:
        moved.rename(paper.results / deleted)


def test_another_revision_of_a_data_set_affects_it_and_later_rules(paper):
    files = stale(paper, set_at("sources.helpsteer2.revision", "0" * 40))
    assert {path.split("/")[-1].split(".")[0] for path in files["normalise_source"]} == {"helpsteer2"}
    assert files["sample_pairs"] and files["train_policy"]
    assert not {path for path in files["collect_translations"] if "/wmt/" in path}, "WMT24++ does not depend on it"
    assert "score_translations" not in files


def test_the_base_set_depends_on_the_evaluation_set_but_not_on_its_sample(paper):
    fewer = stale(paper, set_at("evaluation.prompts_per_language", 100))
    assert fewer["normalise_prompts"] and not {"sample_pairs", "ask_translations", "build_dataset"} & set(fewer)
    assert stale(paper, set_at("evaluation.revision", "0" * 40))["sample_pairs"]
    kept = stale(paper, set_at("sampling.contaminated", "keep"))
    assert kept["sample_pairs"] and kept["ask_translations"] and "normalise_prompts" not in kept


def test_limits_of_the_diagnostics_affect_no_data_set(paper):
    files = stale(paper, set_at("diagnostics", {"length_ratio": [0.4, 2.5]}))
    assert files["diagnose_pairs"] == {f"results/diagnostics/{name}.parquet" for name in "ABC"}
    assert not {"build_dataset", "train_policy", "ask_answers"} & set(files)


def test_a_new_architecture_affects_only_what_does_not_exist(paper):
    translated = {"translate": "x-alma-bs"}
    new = {"prompt": translated, "chosen": {"generate": "command-r-35b"}, "rejected": translated}
    files = stale(paper, lambda config: config["architectures"].update(D=new))
    assert "ask_translations" not in files and "ask_responses" not in files
    assert {path.split("/")[2] for path in files["train_policy"]} == {"D"}
    assert {path.split("/")[2] for path in files["collect_answers"]} == {"D"}
