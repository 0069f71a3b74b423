"""Folders with blanks, quotes and non-ASCII letters in their names, and identities that don't depend on times."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.e2e  # about 35 s of computing
ODD = "a b 'ü\" 文"


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A copy of the tracked files in a folder with an odd name, with data in another; the environment is inside."""
    folder = tmp_path_factory.mktemp("paths") / ODD
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    shutil.copytree(ROOT / "resources/demo/sources", folder / f"data {ODD}" / "sources")
    shutil.copytree(ROOT / "resources/demo/models", folder / f"data {ODD}" / "models")
    config = yaml.safe_load((folder / "config/demo.yaml").read_text(encoding="utf-8"))
    config["results"] = f"results {ODD}"
    for source in config["sources"].values():
        source["path"] = source["path"].replace("resources/demo", f"data {ODD}")
    registry = yaml.safe_load((folder / config["registry"]).read_text(encoding="utf-8"))
    config["checkpoints"] = registry["checkpoints"]
    for checkpoint in config["checkpoints"].values():
        checkpoint["path"] = checkpoint["path"].replace("resources/demo", f"data {ODD}")
    (folder / f"{ODD}.yaml").write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    return folder


def snakemake(folder: Path, *arguments: str, fails: bool = False) -> str:
    command = [".venv/bin/python", "-m", "snakemake", "--configfile", f"{ODD}.yaml", "--cores", "2", *arguments]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    assert bool(done.returncode) is fails, done.stdout[-4000:]
    return done.stdout


def targets() -> list[str]:
    return [f"results {ODD}/pairs.parquet", f"results {ODD}/checkpoints/strong.json"]


def test_clone_results_and_data_may_have_blanks_quotes_and_non_ascii_letters(clone):
    assert "collect_verdicts" in snakemake(clone, "-n", "--quiet", "reason")
    snakemake(clone, *targets())
    assert all((clone / target).is_file() for target in targets())


def test_newer_files_with_the_same_content_make_nothing_stale(clone):
    """A git clone and a copy of a folder give all files new times, also weights above Snakemake's default of 1 MB."""
    snakemake(clone, *targets())
    weights = clone / f"data {ODD}/models/strong/model.safetensors"
    assert weights.stat().st_size > 1_000_000
    for file in (clone / f"data {ODD}").rglob("*"):
        os.utime(file)
    assert "Nothing to be done" in snakemake(clone, "-n", *targets())
    content = weights.read_bytes()
    try:
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert "identify_checkpoint" in snakemake(clone, "-n", *targets())
    finally:
        weights.write_bytes(content)


def test_a_container_image_needs_a_path_without_blanks(clone):
    assert "needs a path without blanks" in snakemake(clone, "-n", "--sdm", "apptainer", fails=True)
