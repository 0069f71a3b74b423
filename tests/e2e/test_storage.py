"""Results in an S3 bucket, with jobs on another machine that shares only the row store; and a dry run for Kubernetes.

The S3 server is moto, on loopback. The other machine is reached by SSH, or by a shell if there is no sshd.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "build/plugins"
BUCKET = "polypref-test"
WMT = {"path": "resources/demo/wmt24pp/{config}.jsonl", "license": "MIT"}
STORAGE = ("--default-storage-provider", "s3", "--default-storage-prefix", f"s3://{BUCKET}")
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
# tools/install-packages.sh does not install OpenSSH's server, because that also starts it on port 22.
SSHD_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
"""
SSH = (
    "ssh -p {port} -i {folder}/user -o UserKnownHostsFile={folder}/known -o StrictHostKeyChecking=accept-new 127.0.0.1"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int, process: subprocess.Popen) -> None:
    for _ in range(300):
        assert process.poll() is None, "the server has stopped"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError(f"nothing listens on port {port}")


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module")
def storage():
    """Environment variables with the address and the keys of an S3 server that runs on loopback."""
    installed = subprocess.run([ROOT / "tools/install_plugins.sh"], capture_output=True, text=True)
    if installed.returncode:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(installed.stderr[-2000:])
    port = free_port()
    env = {
        "PYTHONPATH": str(PLUGINS),
        "SNAKEMAKE_STORAGE_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "access",
        "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "secret-key",
    }
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, server)
        yield env
    finally:
        stop(server)


@pytest.fixture
def other_machine(tmp_path):
    """The beginning of a command whose last argument a shell on the other machine executes."""
    if not SSHD:
        yield "sh -c"
        return
    folder, port = tmp_path / "ssh", free_port()
    folder.mkdir()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "config").write_text(SSHD_CONFIG.format(port=port, folder=folder))
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen([SSHD, "-D", "-f", folder / "config", "-E", folder / "log"])
    try:
        wait_for_port(port, server)
        yield SSH.format(port=port, folder=folder)
    finally:
        stop(server)


def clone(folder: Path, config: dict) -> Path:
    """The repository's files, and the miniature with some sections replaced, ``small.yaml``, in another folder."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    demo = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
    (folder / "small.yaml").write_text(yaml.safe_dump({**demo, **config}))
    return folder


def snakemake(folder: Path, env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "--configfile", "small.yaml", *STORAGE, *arguments]
    environment = {**os.environ, **env, "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600
    )


def bucket(storage: dict[str, str]) -> set[str]:
    """The keys of all objects in the bucket."""
    code = f"""
import boto3, os
e = os.environ
s3 = boto3.resource("s3", endpoint_url=e["SNAKEMAKE_STORAGE_S3_ENDPOINT_URL"], region_name="us-east-1",
    aws_access_key_id=e["SNAKEMAKE_STORAGE_S3_ACCESS_KEY"],
    aws_secret_access_key=e["SNAKEMAKE_STORAGE_S3_SECRET_KEY"])
print(*(item.key for item in s3.Bucket("{BUCKET}").objects.all()), sep="\\n")
"""
    env = {**os.environ, **storage}
    return set(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True).stdout.split())


def test_results_in_a_bucket_with_jobs_on_another_machine(storage, other_machine, tmp_path):
    results = tmp_path / "shared/results"
    config = {
        "languages": ["en", "de"],
        "results": str(results),
        "sampling": {"items": 10},
        "wmt": {**WMT, "translators": ["nllb"], "segments": 4},
        "architectures": {
            name: {field: {"translate": "nllb"} for field in ("prompt", "chosen", "rejected")} for name in "ABC"
        },
    }
    here, there = clone(tmp_path / "here", config), clone(tmp_path / "there", config)
    path = f"PATH={Path(sys.executable).parent}:$PATH PYTHONPATH={PLUGINS}"
    submit = f"{other_machine} 'cd {there} && {path} sh -s' <"
    given = ["--executor", "cluster-sync", "--cluster-sync-submit-cmd", submit, "--jobs", "2"]
    given += ["--shared-fs-usage", "none", "--", f"{results}/datasets/A.parquet"]

    first = snakemake(here, storage, *given)
    assert first.returncode == 0, first.stdout[-6000:]
    assert f"Working directory: {there}" in first.stdout, "the batch ran on the other machine"
    assert (results / "store/translate/nllb").is_dir(), "the row store is in the shared folder"
    assert [path.name for path in results.iterdir()] == ["store"], "and nothing else"
    keys = bucket(storage)
    stem = str(results).lstrip("/")
    for name in ("pairs", "translations/pairs/prompt/nllb/de", "completions/translate/nllb", "datasets/A"):
        assert f"{stem}/{name}.parquet" in keys
    assert not any("/store/" in key or "resources/" in key for key in keys)

    second = snakemake(here, storage, *given)
    assert "Nothing to be done" in second.stdout, second.stdout[-6000:]


def test_a_dry_run_for_kubernetes_with_results_in_a_bucket(storage, tmp_path):
    here = clone(tmp_path, {"results": "/shared/results"})
    given = ["--executor", "kubernetes", "--jobs", "10", "--shared-fs-usage", "none", "--dry-run", "--quiet", "rules"]
    done = snakemake(here, storage, *given)
    assert done.returncode == 0, done.stdout[-6000:]
    assert re.search(r"^complete +12$", done.stdout, re.MULTILINE)
    assert re.search(r"^train_policy +3$", done.stdout, re.MULTILINE)

    refused = snakemake(here, storage, *given, "--config", "results=results")
    assert refused.returncode != 0
    assert "results: 'results' is relative to the working directory" in refused.stdout
    assert "row store" in refused.stdout
