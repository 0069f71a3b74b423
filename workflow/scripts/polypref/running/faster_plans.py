"""Everything that makes Snakemake (9.27) plan thousands of jobs faster, through names that are not public API.

The plan is the same. Snakemake repeats, for each job or file, work whose result depends only on the rule: it reads
the script, inspects the signatures of input functions, evaluates the parameters to format a message, and so on. Here,
this is done once. docs/private-apis.md lists the names; ``tests/running/test_faster_plans.py`` fails when one of them
moves, and compares plans with and without these changes.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
import itertools
import os
import re
import string
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.metadata import version
from typing import Any

import snakemake.common
import snakemake.dag
import snakemake.io.fmt
import snakemake.jobs
import snakemake.path_modifier
import snakemake.rules
import snakemake.script
from snakemake.io import _IOFile
from snakemake.iocontainers import Namedlist, ResourceList

from polypref.running import faster_files

PLAIN = "POLYPREF_PLAIN_SNAKEMAKE"


def speed_up_plans() -> None:
    """Apply all changes of this module to Snakemake 9.27, once per process; another version is left as it is.

    The garbage collector is told to look at the many lasting objects of a plan less often. If the environment variable
    ``POLYPREF_PLAIN_SNAKEMAKE`` is set, nothing is changed.
    """
    if PLAIN in os.environ or not version("snakemake").startswith("9.27."):
        return
    for owner, name, change in CHANGES:
        kept = f"_before_polypref_{name}"
        if kept not in vars(owner):
            setattr(owner, kept, inspect.getattr_static(owner, name))
            setattr(owner, name, change(vars(owner)[kept]))
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


# -- once per rule ----------------------------------------------------------------------------------------------------


def check_script_once(process_job: Callable) -> Callable:
    """Check once per rule whether its script exists. Snakemake reads it, and evaluates the params, for each job."""

    def check(self: Any, job: Any) -> None:
        checked = vars(self).setdefault("checked_rules", set())
        if job.rule.name not in checked:
            process_job(self, job)
            if "{" not in str(getattr(job.rule, self.script_type)):
                checked.add(job.rule.name)

    return check


def remember_parameters(get_function_params: Callable) -> Callable:
    """Inspect the signature of a function in a rule once, instead of several times per job."""
    functions: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
    methods: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()

    def parameters_of(function: Any) -> Any:
        known, key = (methods, function.__func__) if inspect.ismethod(function) else (functions, function)
        if not inspect.isfunction(key) or hasattr(key, snakemake.common.FUNC_OVERWRITE_PARAMS_ATTR):
            return get_function_params(function)
        if key not in known:
            known[key] = get_function_params(function)
        return known[key]

    return parameters_of


def expand_constant_resources_once(expand_resources: Callable) -> Callable:
    """Expand the resources of a rule once if they are the same for all jobs: numbers, texts and the temporary folder.

    The temporary folder, ``system_tmpdir``, is a default resource. Snakemake evaluates it by `eval` for each job.
    """

    def expand(self: Any, wildcards: Any, input: Any, attempt: int, skip_evaluation: Any = None) -> Any:
        known, skipped = vars(self).setdefault("constant_resources", {}), frozenset(skip_evaluation or ())
        if known.get(skipped):
            return ResourceList(fromdict=known[skipped])
        expanded = expand_resources(self, wildcards, input, attempt, skip_evaluation)
        if not any(one.is_evaluable() and one.raw != "system_tmpdir" for one in self.resources.values()):
            known[skipped] = dict(expanded.items())
        return expanded

    return expand


def conda_environment_of_rule(conda_env_spec: property) -> property:
    """Take the conda environment from the rule. Snakemake evaluates the params of each job, even without conda."""

    def environment(self: Any) -> Any:
        expanded = self.rule._expanded_conda_env
        return conda_env_spec.fget(self) if expanded is snakemake.rules._NOT_CACHED else expanded

    return property(environment)


@functools.cache
def uses_only_wildcards(text: str) -> bool:
    """Whether a message contains no values but wildcards, such as ``{wildcards.language}``."""
    fields = [field for field in string.Formatter().parse(text) if field[1] is not None]
    return all(re.fullmatch(r"wildcards\.\w+", name) and not spec and not how for _, name, spec, how in fields)


def format_plain_message(message: property) -> property:
    """Format a message without evaluating the params of the job, and copying all variables of the workflow."""

    def formatted(self: Any) -> Any:
        if self.rule.message and uses_only_wildcards(self.rule.message):
            with contextlib.suppress(AttributeError):  # Snakemake names the rule in its message
                return self.rule.message.format(wildcards=self._format_wildcards)
        return message.fget(self)

    return property(formatted)


def look_for_temporary_files_once(handle_temp: Callable) -> Callable:
    """Look for temporary files after a job only if a rule has them."""

    async def handle(self: Any, job: Any) -> None:
        if "has_temporary" not in vars(self):
            files = (file for rule in self.workflow.rules for file in rule.output)
            self.has_temporary = any(snakemake.io.is_flagged(file, "temp") for file in files)
        if self.has_temporary:
            await handle_temp(self, job)

    return handle


def name_python(get_language: Callable) -> Callable:
    """Name the language of a Python script without importing nbformat, which only notebooks need."""

    def language(source_file: Any, source: Any) -> str | None:
        return "python" if source_file.get_filename().endswith(".py") else get_language(source_file, source)

    return language


# -- once per job -----------------------------------------------------------------------------------------------------


def keep_log(is_valid: Callable) -> Callable:
    """Check the paths of a job's log and benchmark by expanding them, and keep them. Snakemake expands them again."""

    def check(self: Any) -> None:
        self.benchmark, self.log  # noqa: B018

    return check


def compare_neighbours(check_directory_outputs: Callable) -> Callable:
    """Check whether an output is in a folder that is another job's output only if a path begins with another one."""

    def check(self: Any) -> None:
        paths = sorted({f"{file}/" for job in self.jobs for file in job.output})
        nested = any(second.startswith(first) for first, second in itertools.pairwise(paths))
        if nested or len({path.startswith("/") for path in paths}) > 1:
            check_directory_outputs(self)

    return check


def list_missing_outputs(missing_output: Callable) -> Callable:
    """Look for missing outputs without one generator per file."""

    async def missing(self: Any, requested: Any) -> AsyncIterator[Any]:
        if self.pipe_or_service_output:
            async for file in missing_output(self, requested):
                yield file
            return
        for file in requested:
            own = self.output_by_path.get(file, file)
            if not await own.exists():
                yield own

    return missing


def look_at_outputs_in_turn(output_mintime: property) -> property:
    """Return the time stamp of the oldest output without one task per file if none of them is in a storage."""

    async def oldest(self: Any) -> float | None:
        benchmark = self.benchmark
        files = [*self.output, *([benchmark] if benchmark else [])]
        if any(file.is_storage for file in files):
            return await output_mintime.fget(self)
        times = [(await file.mtime()).local_or_storage() for file in files if await file.exists()]
        return min(times, default=None)

    return property(oldest)


def check_existing_outputs(check_protected_output: Callable) -> Callable:
    """Check whether outputs are protected if one of them exists or is in a storage, and create tasks only then."""

    async def check(self: Any) -> None:
        for file in self.output:
            if file.is_storage or await file.exists():
                return await check_protected_output(self)
        return None

    return check


class LoggerWithoutEmptyCommands:
    """Snakemake's logger for jobs, but it drops the line ``Shell command: None`` of each job that runs a script."""

    def __init__(self, logger: Any) -> None:
        self.logger = logger

    def __getattr__(self, name: str) -> Any:
        return getattr(self.logger, name)

    def info(self, message: Any, *arguments: Any, **options: Any) -> None:
        """Log a message, except an empty command, which no handler shows."""
        if message != "Shell command: None":
            self.logger.info(message, *arguments, **options)


def remember_producers(update: Callable) -> Callable:
    """Look up once per file which job produces it, instead of once per job that reads it.

    The job that `update` returns is complete, so no cycle of dependencies leads through it. Snakemake has a table of
    known producers, but enters only files that no job produces.
    """

    async def update_and_remember(
        self: Any, jobs: Any, file: Any = None, visited: Any = None, known_producers: Any = None, **options: Any
    ) -> Any:
        job = await update(self, jobs, file=file, visited=visited, known_producers=known_producers, **options)
        if known_producers is not None and file is not None:
            known_producers[file] = [job]
        return job

    return update_and_remember


def _changes() -> Iterator[tuple[Any, str, Callable]]:
    dag, job = snakemake.dag.DAG, snakemake.jobs.Job
    yield snakemake.script, "get_language", name_python
    yield snakemake.dag.ScriptProcessor, "process_job", check_script_once
    yield snakemake.rules.Rule, "expand_resources", expand_constant_resources_once
    yield dag, "update", remember_producers
    yield dag, "check_directory_outputs", compare_neighbours
    yield dag, "handle_temp", look_for_temporary_files_once
    yield job, "message", format_plain_message
    yield job, "conda_env_spec", conda_environment_of_rule
    yield job, "is_valid", keep_log
    yield job, "missing_output", list_missing_outputs
    yield job, "check_protected_output", check_existing_outputs
    yield job, "output_mintime", look_at_outputs_in_turn
    yield snakemake.jobs, "logger", LoggerWithoutEmptyCommands
    yield Namedlist, "__init__", faster_files.copy_empty_list
    yield Namedlist, "_set_name", faster_files.name_item
    yield snakemake.path_modifier.PathModifier, "modify", faster_files.keep_plain_path
    yield _IOFile, "__new__", faster_files.create_plain_file
    yield _IOFile, "exists", faster_files.look_up_existence
    yield _IOFile, "is_storage", faster_files.look_up_storage
    yield _IOFile, "check", faster_files.check_odd_paths
    yield _IOFile, "apply_wildcards", faster_files.fill_in_wildcards
    # the path of a file is its text; Snakemake compares and hashes it by functions in Python
    yield _IOFile, "__eq__", lambda method: str.__eq__
    yield _IOFile, "__hash__", lambda method: str.__hash__
    yield snakemake.jobs, "fmt_iofile", faster_files.name_unflagged
    for module in (snakemake.common, snakemake.rules):
        yield module, "get_function_params", remember_parameters
    for module in (snakemake.io, snakemake.io.fmt, snakemake.dag, snakemake.jobs, snakemake.rules):
        yield module, "is_flagged", faster_files.look_up_flag


CHANGES = tuple(_changes())
"""What is changed: a module or class, a name in it, and the function that returns the changed function or property."""
