# The folder of the workflow. If another workflow imports this one from GitHub or GitLab as a module, Snakemake fetches
# single files only. The scripts need the package and the resources too, so the whole commit is checked out to a folder.

import os
import tempfile
from pathlib import Path


def checked_out(repo, commit):
    """Check out a commit next to Snakemake's bare clone, unless another process has already done so."""
    clone = Path(repo.git_dir)
    folder = clone.with_name(f"{clone.name}-{commit}")
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(dir=clone.parent) as temporary:
            checkout = Path(temporary, "checkout")
            repo.clone(checkout, shared=True, no_checkout=True).git.checkout(commit)
            try:
                os.rename(checkout, folder)
            except OSError:  # another process was first
                if not folder.is_dir():
                    raise
    return folder


SOURCE = workflow.current_basedir
if hasattr(SOURCE, "hosted_repo"):
    ROOT = checked_out(SOURCE.hosted_repo.repo, SOURCE.hosted_repo.repo.commit(SOURCE.ref).hexsha)
else:
    ROOT = Path(SOURCE).parent
