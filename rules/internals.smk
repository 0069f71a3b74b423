# Everything taken from Snakemake (9.27) that is not public API; docs/private-apis.md lists the names and their tests.

# ROOT is the folder with the rules, scripts and resources. A workflow that uses this one from GitHub or GitLab as a module
# gets single files of it; the scripts import a package and read tables beside them, so the whole commit is checked out.

import os
import shlex
import subprocess
import tempfile
import threading
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.script import PythonScript
from snakemake.settings.types import DeploymentMethod
from snakemake_interface_executor_plugins.settings import SharedFSUsage


def checked_out(repo, commit):
    """Folder with the files of a commit, beside Snakemake's bare clone; the first process that needs it creates it."""
    clone = Path(repo.git_dir)
    folder = clone.with_name(f"{clone.name}-{commit}")
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(dir=clone.parent) as temporary:
            whole = Path(temporary, "whole")
            repo.clone(whole, shared=True, no_checkout=True).git.checkout(commit)
            try:
                os.rename(whole, folder)
            except OSError:  # another process was faster
                if not folder.is_dir():
                    raise
    return folder


SOURCE = workflow.current_basedir
if hasattr(SOURCE, "hosted_repo"):
    ROOT = checked_out(SOURCE.hosted_repo.repo, SOURCE.hosted_repo.repo.commit(SOURCE.ref).hexsha)
else:
    ROOT = Path(SOURCE).parent


def submits_jobs():
    """Whether this run submits jobs to a cluster."""
    return workflow.non_local_exec


def submits_to_slurm():
    """Whether this run submits jobs to Slurm."""
    return submits_jobs() and workflow.executor_plugin.name == "slurm"


def config_files():
    """The configuration files that this run has read."""
    return workflow.configfiles


def default_storage():
    """The address of the default storage, like ``s3://bucket``; an empty string if files are on a file system."""
    settings = workflow.storage_settings
    if not settings.default_storage_provider:
        return ""
    return (settings.default_storage_prefix or "").removesuffix("/")


def shares_files():
    """Whether all jobs of this run see the same files under the same paths."""
    return SharedFSUsage.INPUT_OUTPUT in workflow.storage_settings.shared_fs_usage


def uses_containers():
    """Whether this run starts its jobs in containers (`--sdm apptainer`)."""
    return DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method


def image_path(path):
    """The path of a container image, which may not contain blanks."""
    if any(character.isspace() for character in path):
        raise WorkflowError(
            f"{path}: --sdm apptainer needs a path without blanks; move or rename the workflow's folder"
        )
    return path


# The packages that short scripts import; these imports take most of their time.
IMPORTED = (
    "pandas",
    "pyarrow.parquet",
    "snakemake.logging",
    "polypref.datasets.building",
    "polypref.datasets.cards",
    "polypref.requests.collect",
    "polypref.requests.generate",
    "polypref.requests.judge",
    "polypref.requests.translate",
    "polypref.sources.reading",
)
THREADS = ("OMP", "GOTO", "OPENBLAS", "MKL", "VECLIB", "NUMEXPR")


class ShortScripts:
    """The server that runs short scripts in forks; a script is short if its rule has no benchmark and one thread.

    The server is started with the second script, because a run of one job is faster without it, and used once it has
    imported its packages.
    """

    def __init__(self):
        self.count, self.server, self.lock = 0, None, threading.Lock()

    def run(self, script, command, path):
        """Run a script (Snakemake's object, with the file at `path`), and return whether the server ran it."""
        from polypref.running.fork_server import SUPPORTED, ForkServer

        if script.bench_record or script.threads > 1 or script.conda_env or script.container_img or script.env_modules:
            return False
        environment = dict(os.environ) | {f"{name}_NUM_THREADS": "1" for name in THREADS}
        with self.lock:
            self.count += 1
            if self.count == 2 and SUPPORTED and "POLYPREF_NO_FORKS" not in os.environ:
                self.server = ForkServer(IMPORTED, environment)
        if not self.server or not self.server.is_ready:
            return False
        if tmpdir := script.resources.get("tmpdir"):
            environment |= dict.fromkeys(("TMPDIR", "TMP", "TEMPDIR", "TEMP"), tmpdir)
        if code := self.server.run(path, environment):
            raise subprocess.CalledProcessError(code, command)
        return True


def adapt_scripts(run=PythonScript._execute_cmd):
    """Run short Python scripts in forks of a server, and quote the path of Python in the commands of the others.

    Snakemake leaves that path unquoted, and would not find a virtual environment in a folder whose path contains blanks.
    """
    short = ShortScripts()

    def run_script(self, command, **values):
        if "py_exec" in values:
            values["py_exec"] = shlex.quote(values["py_exec"])
            if short.run(self, f"{values['py_exec']} {values['fname']}", values["fname"]):
                return None
        return run(self, command, **values)

    if run.__name__ != run_script.__name__:
        PythonScript._execute_cmd = run_script


adapt_scripts()


def limit_evaluations(scheduler):
    """Limit Snakemake's scheduler to one pending timer, which evaluates the ready jobs again.

    With a limit of jobs per second, which is on by default, each evaluation starts a timer for another one, and so does
    each finished job. While jobs are waiting, none of these chains ends: after a hundred finished jobs, all waiting jobs
    are evaluated a hundred times per second.
    """

    def schedule_once(self, delay):
        def evaluate():
            self.timer = None  # first, because the evaluation may start the next timer
            self._open_jobs.release()

        if getattr(self, "timer", None) is None:
            self.timer = threading.Timer(delay, evaluate)
            self.timer.daemon = True  # the end of a run does not wait for it
            self.timer.start()

    scheduler._schedule_reevalutation = schedule_once


limit_evaluations(JobScheduler)
