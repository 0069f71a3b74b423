"""Which tier a test is in, what happens where its programs are missing, and what tests print in the end."""

import os
import shutil
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

SLURM = ("test_slurm.py", "test_slurm_faults.py", "test_slurm_nodes.py", "test_slurm_miniature.py")
E2E = Path(__file__).parent / "e2e"
# marker -> programs without which its tests cannot run; tools/install-packages.sh MARKER installs them
PROGRAMS = {"slurm": ["munged", "slurmctld", "slurmd", "sbatch"], "browser": ["chromium", "chromedriver"]}
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])


class TogetherByFile(LoadScopeScheduling):
    """Workers take whole files, for what their tests share; all files of Slurm are one, as there is one Slurm."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::")[0]
        return "slurm" if Path(path).name in SLURM else path


def pytest_xdist_make_scheduler(config: pytest.Config, log) -> LoadScopeScheduling:
    return TogetherByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if E2E in item.path.parents:
            item.add_marker("e2e")
    # the longest go first; the miniature, which Slurm's last test needs, is made meanwhile
    longest = (*SLURM, "test_kills.py")
    items.sort(key=lambda item: longest.index(item.path.name) if item.path.name in longest else len(longest))


def pytest_terminal_summary(terminalreporter) -> None:
    """Print what tests recorded as ``figures``, wherever they ran."""
    for report in [*terminalreporter.stats.get("passed", []), *terminalreporter.stats.get("failed", [])]:
        for name, value in report.user_properties:
            if name == "figures" and report.when == "call":
                terminalreporter.write_line(f"{report.nodeid.split('::')[1]}: {value}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, programs in PROGRAMS.items():
        if item.get_closest_marker(marker) is None:
            continue
        missing = [program for program in programs if shutil.which(program, path=SEARCH_PATH) is None]
        if missing:
            message = f"{', '.join(missing)} not found: tools/install-packages.sh {marker} installs what is needed"
            # in CI a skipped test would pass unseen
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(message)
