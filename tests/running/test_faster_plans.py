"""The changes that make plans of many jobs faster: the names exist, and plans and runs are those of plain Snakemake."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "workflow" / "scripts"
FEATURES = Path(__file__).with_name("features")

CHECK = f"""
import inspect, sys
import snakemake.api  # first, as in a run

sys.path.insert(0, {str(SCRIPTS)!r})
from snakemake.iocontainers import AttributeGuard, Namedlist
from polypref.running import faster_plans

before = {{(owner, name): inspect.getattr_static(owner, name) for owner, name, _ in faster_plans.CHANGES}}
plain = Namedlist(["a", "b"], fromdict={{"x": "c"}})
for _ in range(2):
    faster_plans.speed_up_plans()
for (owner, name), kept in before.items():
    assert inspect.getattr_static(owner, f"_before_polypref_{{name}}") is kept, "each name is changed once"
    assert isinstance(kept, property) == isinstance(inspect.getattr_static(owner, name), property), name
    assert inspect.iscoroutinefunction(kept) == inspect.iscoroutinefunction(getattr(owner, name)), name
quick = Namedlist(["a", "b"], fromdict={{"x": "c"}})
cloned = Namedlist(toclone=quick)
assert list(quick) == list(plain) == list(cloned) and quick.x == plain.x == cloned.x == "c"
assert vars(quick).keys() == vars(plain).keys() and quick._names == plain._names
assert cloned._names is not quick._names and isinstance(quick.sort, AttributeGuard)
"""


def test_the_installed_snakemake_has_the_names_that_are_changed():
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True)
    assert not done.returncode, done.stderr


def snakemake(folder: Path, *arguments: str, snakefile: Path | None = None, **environment: str) -> str:
    """Run a workflow in a folder, which is called ``plain`` or ``faster``, and return its output."""
    how = {"FASTER": str(SCRIPTS)} if folder.name == "faster" else {"POLYPREF_PLAIN_SNAKEMAKE": "1"}
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "2",
        "--workflow-profile",
        "none",
        "--quiet",
        "host",
        "--directory",
    ]
    done = subprocess.run(
        [*command, str(folder), "--snakefile", str(snakefile or folder / "Snakefile"), *arguments],
        env=os.environ | {"NO_COLOR": "1"} | how | environment,
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stdout + done.stderr
    return (done.stdout + done.stderr).replace(str(folder), "FOLDER")


def comparable(text: str) -> list[str]:
    """Sort the lines and the words of each line, whose order is random, without times and numbers of jobs."""
    lines = [re.sub(r"^Job \d+:|jobid: \d+|^\[.*\]$", "", line) for line in text.splitlines()]
    return sorted(" ".join(sorted(re.split(r"[,;:]? ", line.strip()))) for line in lines)


@pytest.mark.e2e  # seconds of computing
def test_plans_and_runs_are_those_of_plain_snakemake(tmp_path):
    folders = [tmp_path / "plain", tmp_path / "faster"]
    for folder in folders:
        shutil.copytree(FEATURES, folder)

    def same(*arguments: str, **environment: str) -> str:
        plain, faster = (snakemake(folder, *arguments, **environment) for folder in folders)
        assert comparable(plain) == comparable(faster)
        return faster

    first = same("--dry-run")
    assert re.search(r"^total +16$", first, re.MULTILINE)
    assert "Collecting 8 of out/0.a.txt with 1 and {braces}" in first and "Step 2 ab and {braces}" in first
    assert "Special step 1" in first and "Would remove temporary output raw/2.txt" in first
    for folder in folders:
        snakemake(folder)
    made = [{str(p.relative_to(f)): p.read_text() for p in f.rglob("*.txt")} for f in folders]
    assert made[0] == made[1] and {"folder/copy.txt", "out/2.ab.txt", "all.txt"} < made[0].keys() and len(made[0]) == 12
    assert "Nothing to be done" in same("--dry-run")
    changed = same("--dry-run", SETTING="two")
    assert "Params have changed" in changed and "Step 0 a " in changed
    (folders[0] / "out/1.ab.txt").unlink(), (folders[1] / "out/1.ab.txt").unlink()
    missing = same("--dry-run")
    assert re.search(r"^total +7$", missing, re.MULTILINE) and "Missing output files: out/1.ab.txt" in missing
    same("--dry-run", "--forcerun", "special", "--until", "collect")


def test_the_plan_of_the_miniature_is_that_of_plain_snakemake(tmp_path):
    config = str(ROOT / "config/demo.yaml")
    plans = []
    for name in ("plain", "faster"):
        (tmp_path / name).mkdir()
        text = snakemake(tmp_path / name, "--dry-run", "--configfile", config, snakefile=ROOT / "Snakefile")
        plans.append(comparable(text))
    assert plans[0] == plans[1] and len(plans[0]) > 1000
