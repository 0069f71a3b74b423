# Everything taken from Snakemake (9.27) that is not public API; docs/private-apis.md lists the names and their tests.

# ROOT is the folder with the rules, scripts and resources. A workflow that uses this one from GitHub or GitLab as a module
# gets single files of it; the scripts import a package and read tables beside them, so the whole commit is checked out.

import functools
import gc
import inspect
import itertools
import os
import re
import shlex
import string
import subprocess
import tempfile
import threading
import weakref
from pathlib import Path

import snakemake.common
import snakemake.dag
import snakemake.io.fmt
import snakemake.jobs
import snakemake.rules
from snakemake.exceptions import WorkflowError
from snakemake.io import AnnotatedString, _IOFile
from snakemake.iocontainers import ResourceList
from snakemake.jobs import Job
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


def replace(owner, name, change):
    """Replace a function or property of Snakemake by `change(it)`, once per process."""
    kept = f"_polypref_replaced_{name}"
    if not hasattr(owner, kept):
        setattr(owner, kept, vars(owner)[name])
        setattr(owner, name, change(vars(owner)[name]))


def once_per_rule(process_job):
    """Check once per rule whether its script exists. Snakemake reads the script once per job, and evaluates the params."""

    def process_job_once(self, job):
        path = str(getattr(job.rule, self.script_type))
        checked = vars(self).setdefault("checked_rules", set())
        if job.rule.name not in checked:
            process_job(self, job)
            if "{" not in path:
                checked.add(job.rule.name)

    return process_job_once


def remember_parameters(get_function_params):
    """Inspect the signature of an input function once, instead of several times per job."""
    functions, methods = weakref.WeakKeyDictionary(), weakref.WeakKeyDictionary()

    def parameters_of(function):
        known, key = (methods, function.__func__) if inspect.ismethod(function) else (functions, function)
        if not inspect.isfunction(key) or hasattr(key, snakemake.common.FUNC_OVERWRITE_PARAMS_ATTR):
            return get_function_params(function)
        if key not in known:
            known[key] = get_function_params(function)
        return known[key]

    return parameters_of


@functools.cache
def uses_only_wildcards(text):
    """Whether a message contains no values but wildcards, such as ``{wildcards.language}``."""
    fields = [field for field in string.Formatter().parse(text) if field[1] is not None]
    return all(re.fullmatch(r"wildcards\.\w+", name) and not spec and not how for _, name, spec, how in fields)


def format_quickly(message):
    """Format a message that contains only wildcards by `str.format`.

    Snakemake copies all variables of the workflow for each job, and evaluates the params.
    """

    def formatted(self):
        if self.rule.message and uses_only_wildcards(self.rule.message):
            return self.rule.message.format(wildcards=self._format_wildcards)
        return message.fget(self)

    return property(formatted)


def one_environment(conda_env_spec):
    """Return the conda environment of a rule. Snakemake evaluates the params of each job, even without conda."""

    def environment(self):
        expanded = self.rule._expanded_conda_env
        return conda_env_spec.fget(self) if expanded is snakemake.rules._NOT_CACHED else expanded

    return property(environment)


def flagged_quickly(is_flagged):
    """Whether a file has a flag like ``ancient``. Snakemake asks about eight flags of each file several times."""

    def is_flagged_quickly(value, flag):
        if type(value) is AnnotatedString:
            return bool(value._flags.get(flag))
        if type(value) is str:
            return False
        if type(value) is _IOFile:
            return is_flagged_quickly(value._file, flag)
        return is_flagged(value, flag)

    return is_flagged_quickly


def remember_producers(update):
    """Look up once per file which job produces it, instead of once per job that reads it.

    The job that `update` returns is complete, so that no cycle of dependencies leads through it. Snakemake has a table of
    known producers, but enters only files that no job produces.
    """

    async def update_and_remember(self, jobs, file=None, visited=None, known_producers=None, **options):
        job = await update(self, jobs, file=file, visited=visited, known_producers=known_producers, **options)
        if known_producers is not None and file is not None:
            known_producers[file] = [job]
        return job

    return update_and_remember


def compare_neighbours(check_directory_outputs):
    """Check only if a path begins with another one whether an output is in a directory that is an output."""

    def check(self):
        paths = sorted({f"{file}/" for job in self.jobs for file in job.output})
        nested = any(second.startswith(first) for first, second in itertools.pairwise(paths))
        if nested or len({path.startswith("/") for path in paths}) > 1:
            check_directory_outputs(self)

    return check


def expand_log_once(is_valid):
    """Check the paths of a job's log and benchmark by expanding and keeping them; Snakemake expands them again later."""
    return lambda self: (self.benchmark, self.log) and None


def evaluate_constants_once(expand_resources):
    """Evaluate the resources of a rule once if they are the same for all its jobs: numbers, texts and the temporary folder.

    The temporary folder, ``system_tmpdir``, is a default resource. Snakemake evaluates it by `eval` for each job.
    """

    def expand(self, wildcards, input, attempt, skip_evaluation=None):
        known, skipped = vars(self).setdefault("constant_resources", {}), frozenset(skip_evaluation or ())
        if skipped not in known:
            different = any(one.is_evaluable() and one.raw != "system_tmpdir" for one in self.resources.values())
            expanded = expand_resources(self, wildcards, input, attempt, skip_evaluation)
            known[skipped] = None if different else dict(expanded.items())
            return expanded
        if known[skipped] is None:
            return expand_resources(self, wildcards, input, attempt, skip_evaluation)
        return ResourceList(fromdict=known[skipped])

    return expand


def name_quickly(fmt_iofile):
    """The name of a file in messages; Snakemake asks for eight flags, also if the file has none."""

    def name(file, *as_input, **as_output):
        return str(file) if type(file) is _IOFile and not file.flags else fmt_iofile(file, *as_input, **as_output)

    return name


def only_with_temporary_files(handle_temp):
    """Look for temporary files after a job only if a rule has them."""

    async def handle(self, job):
        if any(is_flagged(file, "temp") for rule in self.workflow.rules for file in rule.output):
            await handle_temp(self, job)

    return handle


replace(snakemake.dag.ScriptProcessor, "process_job", once_per_rule)
for module_with_signatures in (snakemake.common, snakemake.rules):
    replace(module_with_signatures, "get_function_params", remember_parameters)
replace(snakemake.dag.DAG, "update", remember_producers)
replace(snakemake.dag.DAG, "check_directory_outputs", compare_neighbours)
replace(Job, "is_valid", expand_log_once)
replace(snakemake.rules.Rule, "expand_resources", evaluate_constants_once)
replace(snakemake.jobs, "fmt_iofile", name_quickly)
replace(Job, "message", format_quickly)
replace(Job, "conda_env_spec", one_environment)
for module_with_flags in (snakemake.io, snakemake.io.fmt, snakemake.dag, snakemake.jobs, snakemake.rules):
    replace(module_with_flags, "is_flagged", flagged_quickly)
# The path of a file is its text; Snakemake compares and hashes it by functions in Python, many times per job.
replace(_IOFile, "__eq__", lambda method: str.__eq__)
replace(_IOFile, "__hash__", lambda method: str.__hash__)

gc.freeze()
gc.set_threshold(50_000, 20, 100)
