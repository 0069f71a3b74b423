"""The changes to Snakemake's Slurm executor, and that the installed executor still has the names that they rely on."""

import asyncio
import inspect
import logging
import subprocess
from types import SimpleNamespace

import snakemake_executor_plugin_slurm as plugin
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

from polypref.running import slurm_executor


def test_the_installed_executor_has_the_names_that_are_changed():
    interval = inspect.getattr_static(plugin.Executor, "next_seconds_between_status_checks")
    assert isinstance(interval, property) and interval.fget and interval.fset
    assert interval is inspect.getattr_static(RemoteExecutor, "next_seconds_between_status_checks")
    assert list(inspect.signature(plugin.Executor.check_active_jobs).parameters) == ["self", "active_jobs"]
    assert inspect.isasyncgenfunction(plugin.Executor.check_active_jobs)
    assert list(inspect.signature(plugin.Executor.cancel_jobs).parameters) == ["self", "active_jobs"]
    # the function is looked up in the module at each call
    assert "query_job_status" in plugin.Executor.check_active_jobs.__code__.co_names, (
        "read from the module at each call"
    )
    assert inspect.iscoroutinefunction(plugin.query_job_status)
    assert len(inspect.signature(plugin.query_job_status).parameters) == 2


def test_job_states_that_the_executor_cannot_handle_are_replaced(caplog):
    answers = [({"5": "RUNNING"}, 0.1), (None, None), (None, None), ({"5": "CANCELLED by 0", "6": "COMPLETED"}, 0.1)]

    async def query(command, logger):
        return answers.pop(0)

    status = slurm_executor.StatusQuery(query)
    states = [asyncio.run(status("sacct", logging.getLogger()))[0] for _ in range(4)]
    assert states == [{"5": "RUNNING"}, {}, {}, {"5": "CANCELLED", "6": "COMPLETED"}]
    assert caplog.messages == [slurm_executor.SILENT, "Slurm responds again."]


def test_jobs_are_also_cancelled_during_a_status_check():
    cancelled = []

    class Executor:
        async def check_active_jobs(self, jobs):
            self.cancel_jobs([])  # Ctrl-C
            for job in jobs:
                yield job

        def cancel_jobs(self, jobs):
            cancelled.append([job.external_jobid for job in jobs])

    slurm_executor.cancel_during_status_check(Executor)
    jobs = [SimpleNamespace(external_jobid="5"), SimpleNamespace(external_jobid="6")]

    async def check():
        return [job async for job in Executor().check_active_jobs(jobs)]

    assert asyncio.run(check()) == jobs
    Executor().cancel_jobs(jobs[1:])
    assert cancelled == [["5", "6"], ["5", "6"]]


def test_jobs_that_slurm_does_not_start_are_reported_once(caplog, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    rows = [
        ("5", "PENDING", "Priority", "rule_complete_wildcards_translate_x"),
        ("6", "PENDING", "PartitionTimeLimit", "rule_complete_on_gpu_wildcards_translate_strong"),
        ("7", "RUNNING", "None", "rule_complete_on_gpu_wildcards_translate_weak"),
    ]
    listed = [*("|".join((*row, str(tmp_path))) for row in rows), "8|PENDING|AccountNotAllowed|rule_x|/run/elsewhere"]

    async def query(command, logger):
        return {"6": "PENDING"}, 0.1

    monkeypatch.setattr(slurm_executor, "CHECK_PENDING_S", 0)
    status = slurm_executor.StatusQuery(query, lambda command: "\n".join(listed))
    for _ in range(2):
        asyncio.run(status("sacct", logging.getLogger()))
    (message,) = caplog.messages
    assert message.startswith("Jobs are pending on Slurm (PartitionTimeLimit): 6 (complete_on_gpu translate_strong). ")

    def no_response(command):
        raise subprocess.TimeoutExpired(command, 30)

    assert slurm_executor.StatusQuery(query, no_response).waiting(tmp_path) == ""


def test_status_checks_are_bounded():
    class Executor:
        seconds = 20
        workflow = SimpleNamespace(remote_execution_settings=None)  # as in Snakemake while it parses the rules

        @property
        def next_seconds_between_status_checks(self):
            return self.seconds

        @next_seconds_between_status_checks.setter
        def next_seconds_between_status_checks(self, value):
            self.seconds = value

    slurm_executor.bound_status_checks(Executor)
    executor = Executor()
    executor.workflow.remote_execution_settings = SimpleNamespace(seconds_between_status_checks=30)
    assert executor.next_seconds_between_status_checks == 20
    executor.next_seconds_between_status_checks = 180
    assert executor.next_seconds_between_status_checks == 30
