"""Messages about Slurm jobs: failed jobs, and jobs of a killed run."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from polypref.running import slurm
from polypref.running.slurm_failures import failures
from polypref.running.summary import failure_summary

SUBMITTED = "Job {number} has been submitted with SLURM jobid {job} (log: {log})."
FAILED = """Error in rule complete_on_gpu:
    message: SLURM-job '{job}' failed, SLURM status is: '{state}'. Detailed failure reason unavailable.
    jobid: {number}
    external_jobid: {job}"""


def log_of(folder: Path, job: int, text: str = "") -> Path:
    path = folder / f"rule_complete_on_gpu/translate_strong/{job}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def failures_in(folder: Path, *lines: str) -> str:
    (folder / "snakemake.log").write_text("\n".join(lines) + "\n")
    return failures(folder / "snakemake.log")


@pytest.mark.parametrize(
    ("state", "log", "why", "remedy"),
    [
        ("TIMEOUT", "", "time limit", "`hours`"),
        ("NODE_FAIL", "", "node went down", "continues from there"),
        ("OUT_OF_MEMORY", "", "more memory", "`memory_gb`"),
        # without cgroups Slurm says only FAILED or CANCELLED
        (
            "FAILED",
            "slurmstepd: error: Exceeded job memory limit\n*** JOB 7 CANCELLED AT x ***",
            "more memory",
            "memory",
        ),
        ("FAILED", "slurmstepd: error: Detected 1 oom_kill event in StepId=7.0", "more memory", "`memory_gb`"),
        ("CANCELLED", "*** JOB 7 CANCELLED AT 2026-01-01 ***", "cancelled", "continues"),
        ("CANCELLED", "*** JOB 7 CANCELLED AT x DUE TO TIME LIMIT ***", "time limit", "`hours`"),
        ("PREEMPTED", "", "preempted", "slurm-requeue"),
        (
            "FAILED",
            "\nERROR in translate/strong: no chat\ntemplate\nThe log is l\n",
            "no chat template",
            "See the message",
        ),
        ("FAILED", "", "gives no reason", "continues"),
    ],
)
def test_each_failure_has_its_cause_and_remedy(state, log, why, remedy, tmp_path):
    path = log_of(tmp_path, 7, log)
    text = failures_in(
        tmp_path, SUBMITTED.format(number=3, job=7, log=path), FAILED.format(number=3, job=7, state=state)
    )
    assert f"complete_on_gpu translate strong: Slurm job 7, {state}\n" in text
    assert why in text.split("to do")[0] and remedy in text.split("to do")[1]
    assert f"log    {path}" in text


def test_all_attempts_are_named_and_jobs_that_succeed_in_the_end_are_not_reported(tmp_path):
    lines = []
    for job in (7, 8):
        lines.append(SUBMITTED.format(number=3, job=job, log=log_of(tmp_path, job)))
        lines.append(FAILED.format(number=3, job=job, state="TIMEOUT"))
    assert "Slurm job 8 (earlier attempts: 7), TIMEOUT" in failures_in(tmp_path, *lines)
    assert failures_in(tmp_path, *lines, "Finished jobid: 3 (Rule: complete_on_gpu)") == ""


REJECTED = """Error in rule {rule}:
    message: {message}
    jobid: 4
    output: results/x.parquet
    log: results/logs/x/{log} (check log file(s) for error details)"""


@pytest.mark.parametrize(
    ("message", "cause", "remedy"),
    [
        (
            "SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: gpux\n"
            "sbatch: error: Batch job submission failed: Invalid partition name specified'.",
            "rejected it: sbatch: error: invalid partition specified: gpux\n",
            "profile, or the resources of the model",
        ),
        (
            "Job submission failed with exception: The given account x appears invalid. Available accounts:\na, b",
            "The given account x appears invalid. Available accounts: a, b\n",
            "account",
        ),
        (
            "SLURM sbatch failed. The error message was 'sbatch: error: Batch job submission failed: Unable to contact "
            "slurm controller (connect failure)'.",
            "did not respond",
            "once `sinfo` works",
        ),
    ],
)
def test_a_job_that_slurm_rejected(message, cause, remedy, tmp_path):
    for rule, log, name in (
        ("complete_on_gpu", "translate.strong.log", "complete_on_gpu translate strong"),
        ("train_policy_on_gpu", "A.log", "train_policy_on_gpu A"),
    ):
        text = failures_in(tmp_path, REJECTED.format(rule=rule, message=message, log=log))
        assert f"{name}: no Slurm job, not submitted\n" in text
        assert cause in text and remedy in text.split("to do")[1]


def test_a_job_whose_retry_slurm_rejected_keeps_its_own_cause_and_log(tmp_path):
    log = log_of(tmp_path, 7)
    first = SUBMITTED.format(number=4, job=7, log=log), FAILED.format(number=4, job=7, state="TIMEOUT")
    message = "SLURM sbatch failed. The error message was 'sbatch: error: Requested time limit is invalid'."
    text = failures_in(
        tmp_path, *first, REJECTED.format(rule="complete_on_gpu", message=message, log="translate.strong.log")
    )
    assert "complete_on_gpu translate strong: Slurm job 7, TIMEOUT\n" in text
    assert "its time limit; Slurm rejected its next attempt, which requests more: " in text
    assert "Requested time limit is invalid" in text and f"log    {log}" in text
    assert "ERROR" not in failure_summary("results", [tmp_path / "snakemake.log"])


def test_a_run_that_was_stopped_names_no_error(tmp_path):
    log = tmp_path / "snakemake.log"
    log.write_text("Terminating processes on user request, this might take some time.\n")
    assert failure_summary("results", [log]).startswith(
        "\nThe run was stopped.\nThe log files of all jobs are in results/logs/."
    )


def test_a_failure_on_one_machine_has_no_slurm_part(tmp_path):
    (tmp_path / "snakemake.log").write_text("Error in rule complete:\n    jobid: 3\n")
    assert failure_summary("results", [str(tmp_path / "snakemake.log")]) == failure_summary("results")
    assert "results/store/" in failure_summary("results", [tmp_path / "missing.log"])


def test_only_jobs_of_a_killed_run_in_the_same_folder_are_handled():
    commands = []

    def run(command):
        commands.append(command)
        return (
            "5|RUNNING|None|rule_complete_on_gpu_wildcards_translate_strong|/run/here\n"
            "6|PENDING|Priority|rule_train_policy_wildcards_A|/run/here\n"
            "7|RUNNING|None|rule_complete_wildcards_judge_judge|/run/elsewhere\n"
            "8|RUNNING|None|(null)|/run/here\n"
        )

    text = slurm.cancel_queued(Path("/run/here"), run)
    assert commands[1:] == [["scancel", "--state=PENDING", "6"]]
    assert "  5  running  complete_on_gpu translate_strong\n" in text and "scancel 5\n" in text
    assert "in this folder: 6" in text and "judge" not in text and "8" not in text
    assert slurm.cancel_queued(Path("/run/other"), run) == ""


def test_a_run_starts_although_slurm_does_not_respond():
    def run(command):
        raise OSError("no squeue")

    assert "squeue --me" in slurm.cancel_queued(Path("/run"), run)


def test_a_step_does_not_inherit_the_options_of_the_job():
    environ = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "8", "SRUN_CPUS": "1", "HF_TOKEN": "x", "CUDA_VISIBLE_DEVICES": "0"}
    assert slurm.step_environment(environ) == {"SLURM_JOB_ID": "7", "HF_TOKEN": "x", "CUDA_VISIBLE_DEVICES": "0"}
    assert slurm.job_nodes({}) == []
    run = SimpleNamespace(answers=["n[1-2]\n", "n1\nn2\n"])
    assert slurm.job_nodes(environ, lambda command: run.answers.pop(0)) == ["n1", "n2"]
