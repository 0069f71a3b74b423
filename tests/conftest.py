"""Which tier a test is in, and what happens where its programs are missing."""

import os
import shutil
from pathlib import Path

import pytest

E2E = Path(__file__).parent / "e2e"
# marker -> programs without which its tests cannot run; tools/install-packages.sh MARKER installs them
PROGRAMS = {"slurm": ["munged", "slurmctld", "slurmd", "sbatch"], "browser": ["chromium", "chromedriver"]}
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if E2E in item.path.parents:
            item.add_marker("e2e")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, programs in PROGRAMS.items():
        if item.get_closest_marker(marker) is None:
            continue
        missing = [program for program in programs if shutil.which(program, path=SEARCH_PATH) is None]
        if missing:
            message = f"{', '.join(missing)} not found: tools/install-packages.sh {marker} installs what is needed"
            # in CI a skipped test would pass unseen
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(message)
