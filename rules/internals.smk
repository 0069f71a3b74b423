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
# What the scripts of other rules import: functions of the wildcards that return `Imports`, or None for a job that has to start
# its own Python, because it uses a GPU or imports little. The rules' files add them.
IMPORTED_BY_RULE = {}
THREADS = ("OMP", "GOTO", "OPENBLAS", "MKL", "VECLIB", "NUMEXPR")


class Forks:
    """The servers that run scripts in forks: one for short scripts, and those of rules that import more.

    A script is short if its rule has no benchmark and one thread. The server of the short scripts is started with the
    second one, because a run of one job is faster without it, and used once it has imported its packages. The others are
    started with the first job if there are several with the same number of threads, and this job waits for the imports.
    """

    def __init__(self):
        self.count, self.servers, self.lock = 0, {}, threading.Lock()

    def run(self, script, command, path):
        """Run a script (Snakemake's object, with the file at `path`), and return whether a server ran it."""
        from polypref.running.fork_server import SUPPORTED

        own_python = script.conda_env or script.container_img or script.env_modules
        if own_python or not SUPPORTED or "POLYPREF_NO_FORKS" in os.environ:
            return False
        environment = dict(os.environ) | {f"{name}_NUM_THREADS": str(script.threads) for name in THREADS}
        if not (server := self.server_of(script, environment)):
            return False
        if tmpdir := script.resources.get("tmpdir"):
            environment |= dict.fromkeys(("TMPDIR", "TMP", "TEMPDIR", "TEMP"), tmpdir)
        if code := server.run(path, environment, measured_by(script.bench_record)):
            raise subprocess.CalledProcessError(code, command)
        return True

    def server_of(self, script, environment):
        """The server that has imported what a script needs; None if the script has to start its own Python."""
        if server := self.server_of_imports(script, environment):
            return server
        if script.bench_record or script.threads > 1:
            return None
        with self.lock:
            self.count += 1
            if self.count == 2:
                self.servers["short"] = fork_server(IMPORTED, environment)
        server = self.servers.get("short")
        return server if server and server.is_ready else None

    def server_of_imports(self, script, environment):
        """The server that has imported what a rule declares; None if it declares nothing or only one job would use it."""
        own = imports_of(script.rulename, script.wildcards)
        if own is None or submits_jobs() or not workflow.is_main_process:
            return None
        with self.lock:
            if (own.server, script.threads) not in self.servers:
                jobs = [job for job in workflow.dag.needrun_jobs() if job.threads == script.threads]
                found = [imports_of(job.rule.name, job.wildcards) for job in jobs]
                found = [imports for imports in found if imports and imports.server == own.server]
                modules = dict.fromkeys(module for imports in found for module in imports.modules)
                for imports in found:
                    environment = imports.environment(environment)
                several = len(found) > 1
                self.servers[own.server, script.threads] = fork_server(modules, environment) if several else None
        server = self.servers[own.server, script.threads]
        return server if server and server.wait() else None


def imports_of(name, wildcards):
    """What a job of a rule imports; None if it has to start its own Python."""
    return IMPORTED_BY_RULE[name](wildcards) if name in IMPORTED_BY_RULE else None


def fork_server(modules, environment):
    """Start a server that imports modules."""
    from polypref.running.fork_server import ForkServer

    return ForkServer(tuple(modules), environment)


def measured_by(record):
    """A function of a process id that starts Snakemake's measurement for a rule's benchmark; None without a benchmark."""
    from snakemake.benchmark import benchmarked

    return (lambda pid: benchmarked(pid, record)) if record else None


def adapt_scripts(run=PythonScript._execute_cmd):
    """Run Python scripts in forks of servers, and quote the path of Python in the commands of the others.

    Snakemake leaves that path unquoted, and would not find a virtual environment in a folder whose path contains blanks.
    """
    forks = Forks()

    def run_script(self, command, **values):
        if "py_exec" in values:
            values["py_exec"] = shlex.quote(values["py_exec"])
            if forks.run(self, f"{values['py_exec']} {values['fname']}", values["fname"]):
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
