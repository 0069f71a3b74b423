# Everything taken from Snakemake (9.27) that is not public API; docs/private-apis.md lists the names and their tests.

# ROOT is the folder with the rules, scripts and resources. A workflow that uses this one from GitHub or GitLab as a module
# gets single files of it; the scripts import a package and read tables beside them, so the whole commit is checked out.

import os
import shlex
import tempfile
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.script import PythonScript
from snakemake.settings.types import DeploymentMethod


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


def config_files():
    """The configuration files that this run has read."""
    return workflow.configfiles


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


def quote_python(run=PythonScript._execute_cmd):
    """Quote the path of Python in the shell commands of scripts; Snakemake leaves it unquoted.

    A virtual environment in a folder whose path contains blanks or quotes would otherwise not be found.
    """

    def run_quoted(self, command, **values):
        if "py_exec" in values:
            values["py_exec"] = shlex.quote(values["py_exec"])
        return run(self, command, **values)

    if run.__name__ != run_quoted.__name__:
        PythonScript._execute_cmd = run_quoted


quote_python()
