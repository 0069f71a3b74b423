"""Everything that changes Snakemake's Slurm executor (2.8) through names that are not public API.

docs/private-apis.md lists these names; ``tests/running/test_slurm_executor.py`` fails when one of them moves.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from polypref.running.slurm import ITS_TURN, WAITS, run_command, unfinished_jobs

CHECK_PENDING_S = 30
"""Seconds between two checks of why jobs are pending."""


def adapt_executor(plugin: ModuleType) -> None:
    """Apply all changes of this module to the imported plug-in ``snakemake_executor_plugin_slurm``."""
    bound_status_checks(plugin.Executor)
    cancel_during_status_check(plugin.Executor)
    plugin.query_job_status = StatusQuery(plugin.query_job_status)


def bound_status_checks(executor: Any) -> None:
    """Cap an executor class's interval between two status checks at ``seconds-between-status-checks``.

    The setting is read at every check, because it does not exist yet when Snakemake parses the rules.
    """
    growing = executor.next_seconds_between_status_checks

    def bounded(self: Any) -> float:
        return min(growing.fget(self), self.workflow.remote_execution_settings.seconds_between_status_checks)

    executor.next_seconds_between_status_checks = property(bounded, growing.fset)


def cancel_during_status_check(executor: Any) -> None:
    """Make an executor class also cancel the jobs whose status it is checking; its list does not contain them then."""
    check, cancel = executor.check_active_jobs, executor.cancel_jobs
    checked_jobs: list[Any] = []

    async def check_and_remember(self: Any, jobs: list[Any]) -> AsyncIterator[Any]:
        checked_jobs[:] = jobs
        async for job in check(self, jobs):
            yield job

    def cancel_all(self: Any, jobs: list[Any]) -> None:
        cancel(self, list({job.external_jobid: job for job in [*checked_jobs, *jobs]}.values()))

    executor.check_active_jobs, executor.cancel_jobs = check_and_remember, cancel_all


SILENT = (
    "Slurm does not respond. Submitted jobs continue, and the status query is repeated. If Slurm never responds, "
    "because the cluster has no accounting database, set slurm-status-command in the profile."
)


@dataclass
class StatusQuery:
    """Query job states with the executor's own function, and replace results that the executor cannot handle.

    The executor would wait forever if Slurm did not respond, because it then loses track of all jobs, and if sacct
    reported "CANCELLED by 0", because it does not know this state. It also does not report jobs that Slurm accepts but
    does not start; here, each reason is reported once.
    """

    query: Callable[[str, Any], Awaitable[tuple[dict[str, str] | None, float | None]]]
    run: Callable[[list[str]], str] = run_command
    silent: bool = False
    reported: set[str] = field(default_factory=set)
    next_check: float = 0.0

    async def __call__(self, command: str, logger: Any) -> tuple[dict[str, str], float]:
        states, seconds = await self.query(command, logger)
        if self.silent != (states is None):
            self.silent = states is None
            logger.warning(SILENT if self.silent else "Slurm responds again.")
        if states is None:
            return {}, 0.0  # the states are unknown, so all jobs keep their last state
        if "PENDING" in states.values() and time.monotonic() >= self.next_check:
            self.next_check = time.monotonic() + CHECK_PENDING_S
            if text := self.waiting(Path.cwd()):
                logger.warning(text)
        return {job: state.partition(" ")[0] for job, state in states.items()}, seconds or 0.0

    def waiting(self, folder: Path) -> str:
        """Describe the jobs that will not start without intervention, each reason once."""
        try:
            jobs = [job for job in unfinished_jobs(folder, self.run) if job.state == "PENDING"]
        except (OSError, subprocess.SubprocessError):
            return ""
        reasons = dict.fromkeys(job.reason for job in jobs if job.reason not in self.reported | ITS_TURN)
        self.reported |= reasons.keys()
        named = ((reason, ", ".join(f"{j.id} ({j.what})" for j in jobs if j.reason == reason)) for reason in reasons)
        return "\n".join(f"Jobs are pending on Slurm ({reason}): {names}. {WAITS}" for reason, names in named)
