"""Run the workflow, and the miniature, in a folder of a test."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
DATA = ("sources", "wmt24pp", "aya")


@dataclass
class Run:
    """A folder with its own configuration, in which the workflow runs."""

    folder: Path
    config: dict
    output: str = ""
    code: Path = ROOT

    @classmethod
    def of_file(cls, path: Path, folder: Path) -> "Run":
        """A run of a configuration file in a folder; its paths are those of the repository."""
        return cls(folder, yaml.safe_load(path.read_text(encoding="utf-8")))

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def snakemake(self, *arguments: str, check: bool = True, config: dict | None = None) -> str:
        """Run Snakemake as a user would, and return its output."""
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
        """Return the number of jobs per rule in a dry run."""
        output = self.snakemake("-n", "--quiet", "rules", *arguments, config=config)
        jobs: dict[str, int] = {}
        for line in output.splitlines():
            words = line.split()
            if len(words) == 2 and words[1].isdigit() and words[0] not in ("total", "job"):
                jobs[words[0]] = int(words[1])
        return jobs


def new_run(folder: Path, name: str = "demo.yaml") -> Run:
    """Copy the miniature's data to a folder, with a configuration for these copies."""
    for part in DATA:
        shutil.copytree(ROOT / "resources" / "demo" / part, folder / "data" / part)
    text = (ROOT / "config" / name).read_text(encoding="utf-8")
    for part in DATA:
        text = text.replace(f"resources/demo/{part}/", f"data/{part}/")
    return Run(folder, yaml.safe_load(text))


def make_miniature(folder: Path) -> Run:
    """Run the whole miniature, and save it for :func:`read_run`."""
    return finish_run(new_run(folder))


def finish_run(run: Run) -> Run:
    """Run everything, and save the configuration and the output for :func:`read_run`."""
    run.output = run.snakemake("--resources", "engine=2")
    (run.folder / "made.yaml").write_text(yaml.safe_dump(run.config, allow_unicode=True), encoding="utf-8")
    (run.folder / "output.txt").write_text(run.output, encoding="utf-8")
    return run


def read_run(folder: Path) -> Run:
    """Read a run that :func:`finish_run` has finished."""
    config = yaml.safe_load((folder / "made.yaml").read_text(encoding="utf-8"))
    return Run(folder, config, (folder / "output.txt").read_text(encoding="utf-8"))
