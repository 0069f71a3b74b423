"""Other ways to install the software: conda, by a dry run, and the container, by checks of its recipe."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The machine of these tests has no conda; a dry run calls it only for version and settings.
CONDA = """#!/bin/sh
case "$1" in
  info) echo '{"conda_version": "24.9.2", "conda_prefix": "/x", "root_prefix": "/x", "platform": "linux-64"}' ;;
  config) echo '{"get": {"channel_priority": "strict"}}' ;;
  --version) echo "conda 24.9.2" ;;
esac
"""


def test_conda_creates_one_environment_for_all_rules(tmp_path):
    conda = tmp_path / "bin/conda"
    conda.parent.mkdir()
    conda.write_text(CONDA)
    conda.chmod(0o755)
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--sdm", "conda", "--dry-run"]
    done = subprocess.run(
        [*command, "--configfile", str(ROOT / "config/demo.yaml"), "-q", "rules", "--workflow-profile", "none"],
        cwd=tmp_path,
        env=os.environ | {"PATH": os.pathsep.join([str(conda.parent), os.environ["PATH"]])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    environments = re.findall(r"Conda environment (\S+) will be created", output)
    assert [Path(path).resolve() for path in environments] == [ROOT / "environment.yml"]


def test_the_container_is_set_up_by_the_same_script_as_a_machine():
    recipe = (ROOT / "containers/polypref.def").read_text(encoding="utf-8")
    torch = re.search(r"^nvidia-cuda-runtime==(\d+\.\d+)", (ROOT / "requirements/gpu.txt").read_text(), re.MULTILINE)[1]
    assert f"From: nvidia/cuda:{torch}." in recipe, "the CUDA that torch was built with"
    assert "tools/setup.sh gpu" in recipe
    for path in re.findall(r"/opt/polypref/([\w./-]+\.(?:yaml|sh)|Snakefile)", recipe):
        assert (ROOT / path).exists(), path
