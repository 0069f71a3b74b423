"""Configuration of pytest: markers of tests, required programs, scheduling, and recorded figures."""

import os
import shutil
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

SLURM = ("test_slurm.py", "test_slurm_faults.py", "test_slurm_nodes.py", "test_slurm_miniature.py")
E2E = Path(__file__).parent / "e2e"
# marker -> programs that its tests need; tools/install-packages.sh MARKER installs them
PROGRAMS = {"slurm": ["munged", "slurmctld", "slurmd", "sbatch"], "browser": ["chromium", "chromedriver"]}
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])


class ScheduleByFile(LoadScopeScheduling):
    """Assign whole files to workers, because tests of a file share fixtures, and all files with Slurm to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::")[0]
        return "slurm" if Path(path).name in SLURM else path


def pytest_xdist_make_scheduler(config: pytest.Config, log) -> LoadScopeScheduling:
    return ScheduleByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if E2E in item.path.parents:
            item.add_marker("e2e")
    # the longest tests first; another worker runs the miniature, which the last Slurm test needs, at the same time
    longest = (*SLURM, "test_kills.py", "test_real_model.py", "test_hub.py", "test_own_data.py")
    items.sort(key=lambda item: longest.index(item.path.name) if item.path.name in longest else len(longest))


def pytest_terminal_summary(terminalreporter) -> None:
    """Print the ``figures`` that tests have recorded in any worker."""
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
            message = f"{', '.join(missing)} not found; install them with tools/install-packages.sh {marker}"
            # in CI a skipped test would go unnoticed
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(message)
