# Where rules, scripts and resources lie. A workflow that takes this one from GitHub or GitLab as a module gets single
# files of it; the scripts import a package and read tables beside them, so the whole commit is laid out in a folder.

import os
import tempfile
from pathlib import Path


def laid_out(repo, commit):
    """The folder of a commit, beside Snakemake's own bare clone; made once, by whoever comes first."""
    clone = Path(repo.git_dir)
    folder = clone.with_name(f"{clone.name}-{commit}")
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(dir=clone.parent) as made:
            whole = Path(made, "whole")
            repo.clone(whole, shared=True, no_checkout=True).git.checkout(commit)
            try:
                os.rename(whole, folder)
            except OSError:  # another process was first
                if not folder.is_dir():
                    raise
    return folder


SOURCE = workflow.current_basedir
if hasattr(SOURCE, "hosted_repo"):
    ROOT = laid_out(SOURCE.hosted_repo.repo, SOURCE.hosted_repo.repo.commit(SOURCE.ref).hexsha)
else:
    ROOT = Path(SOURCE).parent
