"""The miniature, run once per test session in a folder of its own, on copies of its data that tests may edit."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from selenium import webdriver
from slurm_cluster import Cluster

ROOT = Path(__file__).parents[2]
DATA = ("sources", "wmt24pp", "aya")
CHROMIUM_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


@dataclass
class Run:
    """A folder in which the workflow runs with a configuration of its own."""

    folder: Path
    config: dict
    output: str = ""
    code: Path = ROOT

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def snakemake(self, *arguments: str, check: bool = True, config: dict | None = None) -> str:
        """Run Snakemake as a user does, and return what it printed."""
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(config or self.config, allow_unicode=True), encoding="utf-8")
        command = [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(self.code / "Snakefile")),
            *("--directory", str(self.folder), "--configfile", str(path), "--cores", "2", *arguments),
        ]
        env = {**os.environ, "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}
        done = subprocess.run(
            command, cwd=self.folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=3000
        )
        if check and done.returncode:
            raise AssertionError(f"snakemake ended with {done.returncode}:\n{done.stdout[-6000:]}")
        return done.stdout if check else f"{done.stdout}\nexit code {done.returncode}"

    def planned(self, *arguments: str, config: dict | None = None) -> dict[str, int]:
        """Jobs per rule that a dry run lists."""
        output = self.snakemake("-n", "--quiet", "rules", *arguments, config=config)
        jobs: dict[str, int] = {}
        for line in output.splitlines():
            words = line.split()
            if len(words) == 2 and words[1].isdigit() and words[0] not in ("total", "job"):
                jobs[words[0]] = int(words[1])
        return jobs


def new_run(folder: Path, name: str = "demo.yaml") -> Run:
    """A folder with copies of the miniature's data and a configuration that points at them."""
    for part in DATA:
        shutil.copytree(ROOT / "resources" / "demo" / part, folder / "data" / part)
    text = (ROOT / "config" / name).read_text(encoding="utf-8")
    for part in DATA:
        text = text.replace(f"resources/demo/{part}/", f"data/{part}/")
    return Run(folder, yaml.safe_load(text))


@pytest.fixture
def fresh(tmp_path) -> Run:
    """The miniature before its first run."""
    return new_run(tmp_path)


@pytest.fixture(scope="session")
def miniature(tmp_path_factory, request) -> Run:
    """The miniature, finished; each worker of pytest-xdist has a copy, which its tests may change.

    For work on these tests: POLYPREF_MINIATURE names the folder of an earlier session's.
    """
    if finished := os.environ.get("POLYPREF_MINIATURE"):
        return read_run(Path(finished))
    temporary = tmp_path_factory.getbasetemp()
    if not hasattr(request.config, "workerinput"):
        return make_miniature(temporary / "miniature")
    first = temporary.parent / "miniature"
    with FileLock(f"{first}.lock"):
        if not first.exists():
            make_miniature(first)
    return read_run(shutil.copytree(first, temporary / "miniature", symlinks=True))


def make_miniature(folder: Path) -> Run:
    """Run the whole miniature; what :func:`read_run` reads is left beside its results."""
    run = new_run(folder)
    run.output = run.snakemake("--resources", "engine=2")
    (run.folder / "made.yaml").write_text(yaml.safe_dump(run.config, allow_unicode=True), encoding="utf-8")
    (run.folder / "output.txt").write_text(run.output, encoding="utf-8")
    return run


def read_run(folder: Path) -> Run:
    config = yaml.safe_load((folder / "made.yaml").read_text(encoding="utf-8"))
    return Run(folder, config, (folder / "output.txt").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    """A real Slurm, for all tests that need one; a test that breaks it brings it up again."""
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()


@pytest.fixture(scope="module")
def chromium():
    options = webdriver.ChromeOptions()
    for flag in CHROMIUM_FLAGS:
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_window_size(1400, 1000)
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium):
    """Chromium, which must have had nothing to complain of when a test ends."""
    chromium.get("about:blank")
    chromium.get_log("browser")
    yield chromium
    assert chromium.get_log("browser") == []
