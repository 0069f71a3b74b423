"""The workflow in Snakemake: dry runs within their budget, a fourth architecture, use as a module, lint, targets."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def snakemake(folder: Path, *arguments: str, snakefile: Path = ROOT / "Snakefile") -> str:
    """Run Snakemake in a folder and return its output."""
    profile = ["--workflow-profile", "none"]
    command = [sys.executable, "-m", "snakemake", "-s", str(snakefile), "-d", str(folder), "--cores", "1", *profile]
    done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def jobs(text: str) -> dict[str, int]:
    stats = text.split("Job stats:")[1].split("total")[0] + "total" + text.split("total")[1].splitlines()[0]
    return {name: int(count) for name, count in re.findall(r"^([a-z_-]+)\s+(\d+)$", stats, re.MULTILINE)}


@pytest.mark.parametrize("name", ["config", "single_gpu"])
def test_a_dry_run_lists_every_artifact_within_the_time_budget(name, tmp_path):
    began = time.monotonic()
    found = jobs(snakemake(tmp_path, "-n", "--quiet", "reason", "--configfile", str(ROOT / f"config/{name}.yaml")))
    assert time.monotonic() - began < 30, "it takes about 5 s on an idle machine"
    assert found["total"] < 500
    assert found["train_policy_on_gpu"] == found["build_dataset"] == found["diagnose_pairs"] == 3
    assert found["check_before_gpu"] == 1, "the preflight runs before the first GPU job"
    if name == "config":
        assert (found["complete_on_gpu"], found["complete"]) == (19, 2), "the two APIs need no GPU"
        assert (found["ask_answers"], found["ask_verdicts"]) == (7 * 9, 4 * 9)


STARTS = """
import os, sys
with open(os.environ["STARTS"], "a") as file:
    file.write(" ".join(sys.orig_argv) + "\\n")
"""


@pytest.mark.e2e  # seconds of computing
def test_short_scripts_run_in_forks(tmp_path, monkeypatch):
    """Only the scripts that start before the server is ready run in separate processes."""
    (tmp_path / "sitecustomize.py").write_text(STARTS, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("STARTS", str(tmp_path / "starts.txt"))
    wanted = [f"results/requests/answer/weak/{code}.parquet" for code in ("en", "ar", "zh", "de", "is", "ja", "nl")]
    text = snakemake(tmp_path, *wanted, "--quiet", "reason", "--configfile", str(ROOT / "config/demo.yaml"))
    scripts = (tmp_path / "starts.txt").read_text(encoding="utf-8").count(".snakemake/scripts")
    assert jobs(text)["total"] > 13 and 1 <= scripts < 8
    assert len(list((tmp_path / "results/requests").rglob("*.parquet"))) == 7


@pytest.mark.e2e  # seconds of computing
def test_model_jobs_run_in_forks(tmp_path, monkeypatch):
    """Two batches share their imports; a single one has its own process. The completions are the same."""
    (tmp_path / "sitecustomize.py").write_text(STARTS, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("STARTS", str(tmp_path / "starts.txt"))
    names, config = ("mid", "weak"), ("--configfile", str(ROOT / "config/demo.yaml"))
    files = [f"results/completions/answer/{name}.parquet" for name in names]
    snakemake(tmp_path, *files, "--quiet", "reason", *config)
    starts = (tmp_path / "starts.txt").read_text(encoding="utf-8")
    assert "complete.py" not in starts and starts.count("vllm.entrypoints.llm") == 1
    bench = (tmp_path / "results/benchmarks/complete/answer.weak.tsv").read_text(encoding="utf-8").splitlines()
    assert float(dict(zip(*(line.split("\t") for line in bench), strict=True))["max_rss"]) > 100
    forked = (tmp_path / files[0]).read_bytes()
    (tmp_path / files[0]).unlink()
    shutil.rmtree(tmp_path / "results/store")
    snakemake(tmp_path, files[0], "--quiet", "reason", *config)
    assert (tmp_path / "starts.txt").read_text(encoding="utf-8").count("complete.py") == 1
    assert (tmp_path / files[0]).read_bytes() == forked


WAITING = f"""
include: "{ROOT}/rules/internals.smk"


rule all:
    input:
        expand("{{n}}.txt", n=range(30)),


rule wait:
    output:
        "{{n}}.txt",
    shell:
        "sleep 0.2; touch {{output}}"
"""


@pytest.mark.e2e  # seconds of waiting
def test_waiting_jobs_are_evaluated_about_once_per_finished_job(tmp_path):
    """Snakemake 9.27's own timers would evaluate them every second, once for each finished job."""
    (tmp_path / "Snakefile").write_text(WAITING, encoding="utf-8")
    text = snakemake(tmp_path, "--verbose", "--scheduler", "greedy", snakefile=tmp_path / "Snakefile")
    evaluations = len(re.findall(r"^Ready jobs: ", text, re.MULTILINE))
    assert 30 <= evaluations < 60


def test_a_dry_run_of_the_laptop_needs_no_gpu(tmp_path):
    found = jobs(snakemake(tmp_path, "-n", "--quiet", "reason", "--configfile", str(ROOT / "config/laptop.yaml")))
    assert found["train_policy"] == found["build_dataset"] == 2 and found["complete"] == 8
    assert not [name for name in found if "gpu" in name and name != "check_before_gpu"]


def test_a_fourth_architecture_needs_no_code(tmp_path):
    configs = [str(ROOT / "config/demo.yaml"), str(ROOT / "tests/configs/fourth.yaml")]
    text = snakemake(tmp_path, "-n", "--configfile", *configs)
    found = jobs(text)
    assert found["train_policy"] == found["build_dataset"] == 4
    assert "responses/english/strong/de.parquet" in text, "an English prompt is answered in English"
    assert "check_before_gpu" not in found, "there is nothing to check for local models on a CPU"
    build = text.split("Building data set D")[1].split("Job ")[0]
    assert "results/diagnostics/D.parquet" in build, "dropping by a flag needs the diagnostics first"


def commit_copy(folder: Path) -> None:
    """Create a repository with one commit of the files that are tracked here, in their current state."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.splitlines()):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], [*who, "commit", "-qm", "all"], ["tag", "v1"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)


@pytest.mark.e2e  # seconds of computing
@pytest.mark.parametrize("place", ["folder", "github"])
def test_as_a_module_of_another_workflow(place, tmp_path, monkeypatch):
    """Use the workflow from a folder, and from GitHub, whose address git replaces by a local repository."""
    snakefile, source = tmp_path / "Snakefile", repr(str(ROOT / "Snakefile"))
    if place == "github":
        source = 'github("someone/polypref", path="Snakefile", tag="v1")'
        commit_copy(tmp_path / "repository")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.file://{tmp_path}/repository.insteadOf")
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/someone/polypref")
    settings = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
    settings["results"] = "out/polypref"
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump({"polypref": settings}), encoding="utf-8")
    snakefile.write_text(
        'configfile: "settings.yaml"\n\n'
        f"module polypref:\n    snakefile: {source}\n    config: config['polypref']\n\n"
        "use rule * from polypref as polypref_*\n\n"
        "rule mine:\n    default_target: True\n"
        '    input: "out/polypref/wmt/de.parquet"\n    output: "out/mine.txt"\n    shell: "cp {input} {output}"\n',
        encoding="utf-8",
    )
    snakemake(tmp_path, "--quiet", "reason", snakefile=snakefile)
    assert (tmp_path / "out/mine.txt").is_file()
    found = jobs(snakemake(tmp_path, "-n", "out/polypref/report/index.html", snakefile=snakefile))
    assert found["polypref_complete"] == 12 and found["polypref_train_policy"] == 3
    # a script that reads the configuration gets that of the module and not that of the whole workflow
    assert "judge/judge" in snakemake(tmp_path, "polypref_estimate", snakefile=snakefile)


def test_lint_is_clean(tmp_path):
    assert "Congratulations" in snakemake(tmp_path, "--lint", "--configfile", str(ROOT / "config/demo.yaml"))


@pytest.mark.e2e  # seconds of computing
def test_preflight_and_requests_are_targets(tmp_path):
    demo = ["--configfile", str(ROOT / "config/demo.yaml")]
    assert "chat templates render: base, judge" in snakemake(tmp_path, "preflight", *demo)
    shown = snakemake(tmp_path, "show-requests", *demo)
    assert "=== judge/judge" in shown and "rendered with the chat template" in shown


@pytest.mark.e2e  # seconds of computing
def test_no_gpu_job_starts_if_the_preflight_fails(tmp_path, monkeypatch):
    for name in ("HF_TOKEN", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with pytest.raises(AssertionError) as caught:
        snakemake(tmp_path, "results/preflight.txt", "--configfile", str(ROOT / "config/config.yaml"))
    text = str(caught.value)
    assert "OPENAI_API_KEY (for gpt-3.5-turbo, gpt-4o) is not set" in text
    assert "23 of 23 repositories are not in" in text and "snakemake fetch" in text
    assert not (tmp_path / "results/preflight.txt").exists()


def test_the_metadata_for_the_workflow_catalogue():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))["usage"]
    assert {"mandatory-flags", "software-stack-deployment", "report"} <= usage.keys()
    assert (ROOT / "environment.yml").is_file() is usage["software-stack-deployment"]["conda"]


@pytest.mark.e2e  # seconds of computing
def test_a_rater_adds_only_its_own_jobs(tmp_path):
    """A request file and a file of ratings per file of translations of the base set, one batch and its settings."""
    (tmp_path / "rater.yaml").write_text("rating: {rater: judge}\n", encoding="utf-8")
    (tmp_path / "kiwi.yaml").write_text("rating: {comet_kiwi: Unbabel/wmt22-cometkiwi-da}\n", encoding="utf-8")
    demo = str(ROOT / "config/demo.yaml")
    without, rated, kiwi = (
        jobs(snakemake(tmp_path, "-n", "--quiet", "reason", "--configfile", demo, *more))
        for more in ([], [str(tmp_path / "rater.yaml")], [str(tmp_path / "kiwi.yaml")])
    )
    added = [{n: count - without.get(n, 0) for n, count in found.items() if count != without.get(n)}
             for found in (rated, kiwi)]  # fmt: skip
    assert added[0] == {"ask_ratings": 32, "collect_ratings": 32, "complete": 1, "write_settings": 2, "total": 67}
    assert added[1] == {"rate_by_comet": 32, "write_settings": 2, "total": 34}
    assert not [name for name in without if "rating" in name or "rate_by" in name]
