"""A real Slurm cluster for tests (tests/slurm/up.sh), and runs of the workflow on it with an edited profiles/slurm."""

import contextlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
UP, DOWN = ROOT / "tests/slurm/up.sh", ROOT / "tests/slurm/down.sh"
# different names from those in profiles/slurm, which must work on another cluster after editing only that profile
NODES = ("alpha", "beta")
PARTITIONS = {"cpu": "standard", "gpu": "accelerated"}
GPU_TYPE = "a100"
ACCOUNT = "lab42"


def free_port(following: int = len(NODES)) -> int:
    """Find a free port that is followed by free ports; another Slurm may be running on this machine."""
    for port in range(17817, 65000, following + 1):
        with contextlib.ExitStack() as tried, contextlib.suppress(OSError):
            for number in range(port, port + following + 1):
                tried.enter_context(socket.socket()).bind(("127.0.0.1", number))
            return port
    raise AssertionError("no free port on this machine")


def wait_for(what, seconds: float = 120, every: float = 0.5):
    """Wait for a true value of ``what()`` and return it; raise AssertionError after a timeout."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := what():
            return value
        time.sleep(every)
    raise AssertionError(f"timeout after {seconds} s: {what}")


@dataclass
class Cluster:
    """Two nodes with two declared GPUs each; ``env`` is the environment for Slurm's programs."""

    folder: Path
    port: int = field(default_factory=free_port)
    env: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def up(self) -> None:
        """Start all daemons that are not running."""
        settings = {
            "SLURM_TEST_NODES": " ".join(NODES),
            "SLURM_TEST_CPU_PARTITION": PARTITIONS["cpu"],
            "SLURM_TEST_GPU_PARTITION": PARTITIONS["gpu"],
            "SLURM_TEST_GPU_TYPE": GPU_TYPE,
            "SLURM_TEST_ACCOUNT": ACCOUNT,
            "SLURM_TEST_PORT": str(self.port),
            "SLURM_TEST_NODE_TIMEOUT": "20",
        }
        bins = [str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        self.env = os.environ | {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": os.pathsep.join(bins)}
        self.env |= {"HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}
        done = subprocess.run(
            [UP, self.folder], env=os.environ | settings, timeout=120, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def down(self) -> None:
        for process in self.started:  # left over from failed tests
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        subprocess.run([DOWN, self.folder], timeout=120, check=False, capture_output=True)

    def run(self, *command: object, cwd: Path | None = None, check: bool = True) -> str:
        """Run a program on the cluster's login node and return its output."""
        done = subprocess.run(
            [str(part) for part in command], env=self.env, cwd=cwd, timeout=120, capture_output=True, text=True
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def jobs(self, folder: Path) -> list[dict[str, str]]:
        """List the jobs that were submitted from a folder, including finished ones, with the fields of ``scontrol``."""
        found = [
            dict(re.findall(r"(\w+)=(\S*)", text)) for text in self.run("scontrol", "-o", "show", "job").splitlines()
        ]
        return sorted((j for j in found if j.get("WorkDir") == str(folder)), key=lambda j: int(j["JobId"]))

    def running(self, folder: Path, what: str) -> str | None:
        """Return the id of the running job with ``what`` in its comment."""
        found = [j["JobId"] for j in self.jobs(folder) if j["JobState"] == "RUNNING" and what in j.get("Comment", "")]
        return found[-1] if found else None

    def node_of(self, job: str) -> str:
        return re.search(r"\bNodeList=(\S+)", self.run("scontrol", "show", "job", job))[1]

    def kill_node(self, node: str) -> None:
        """Simulate a power failure of a node: kill slurmd and all its steps at once, without any message."""
        pid = self.folder / f"run/slurmd.{node}.pid"
        tasks = [int(process.name) for process in Path("/proc").glob("[0-9]*") if self._is_task_of(process, node)]
        parents = {int(re.search(r"PPid:\s+(\d+)", Path(f"/proc/{task}/status").read_text())[1]) for task in tasks}
        daemons = [p for p in parents if Path(f"/proc/{p}/comm").read_text().startswith("slurmstepd")]
        processes = [int(pid.read_text()), *daemons, *tasks]
        for process in processes:  # so that none of them reports the end of another
            os.kill(process, signal.SIGSTOP)
        for process in processes:
            os.kill(process, signal.SIGKILL)
        pid.unlink()

    def _is_task_of(self, process: Path, node: str) -> bool:
        try:
            environ = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            return False
        here = any(v.startswith(b"PATH=") and str(self.folder / "bin").encode() in v for v in environ)
        return here and f"SLURMD_NODENAME={node}".encode() in environ

    def restart_controller(self, away_s: float) -> None:
        """Kill slurmctld, and start it again after some seconds."""
        pid = self.folder / "run/slurmctld.pid"
        os.kill(int(pid.read_text()), signal.SIGKILL)
        time.sleep(away_s)
        pid.unlink(missing_ok=True)
        self.up()


def edited_profile(folder: Path) -> Path:
    """Copy profiles/slurm and edit it as its comments explain: account, names of the cluster, no accounting."""
    text = (ROOT / "profiles/slurm/config.yaml").read_text()
    for pattern, replacement in {
        r"^  # (slurm_account:) my_project$": rf"  \1 {ACCOUNT}",
        r"^(  slurm_partition:) cpu$": rf"\1 {PARTITIONS['cpu']}",
        r"^(    slurm_partition:) gpu$": rf"\1 {PARTITIONS['gpu']}",
        r"^(    gpu_model:) h100$": rf"\1 {GPU_TYPE}",
        r"^# (slurm-status-command: squeue)$": r"\1",
    }.items():
        text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        assert count, f"profiles/slurm/config.yaml has no line like {pattern}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(text)
    return folder


def rehearsed(config: dict) -> dict:
    """Merge config/rehearsal.yaml into a configuration, as a second --configfile would, except for `results`."""
    rehearsal = yaml.safe_load((ROOT / "config/rehearsal.yaml").read_text(encoding="utf-8"))
    training = config["training"] | rehearsal["training"]
    return config | {"checkpoints": rehearsal["checkpoints"], "training": training}


@dataclass
class SlurmRun:
    """A run of the workflow on a cluster: a folder, a configuration and an edited profile."""

    cluster: Cluster
    folder: Path
    config: dict
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def start(self, *arguments: str, snakefile: Path = ROOT / "Snakefile") -> subprocess.Popen[str]:
        """Start Snakemake as on a login node, in a new session; its output goes to output.txt."""
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config, allow_unicode=True), encoding="utf-8")
        if not (self.folder / "profile").exists():
            edited_profile(self.folder / "profile")
        command = [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--configfile", "config.yaml"),
            *("--profile", "profile", *arguments),
        ]
        with open(self.folder / "output.txt", "w") as output:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.cluster.env | self.secrets, stdout=output, stderr=output, text=True,
                start_new_session=True,
            )  # fmt: skip
        self.cluster.started.append(process)
        return process

    def finish(self, process: subprocess.Popen[str], seconds: float = 2400, check: bool = True) -> str:
        """Wait for the end of Snakemake and return its output."""
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            code = -1
        output = (self.folder / "output.txt").read_text()
        assert not check or code == 0, f"snakemake ended with {code}:\n{output[-6000:]}"
        return output

    def run(self, *arguments: str, check: bool = True, snakefile: Path = ROOT / "Snakefile") -> str:
        return self.finish(self.start(*arguments, snakefile=snakefile), check=check)

    def cost(self, batch: str) -> dict:
        """Read the cost file of a finished batch."""
        return json.loads((self.results / f"completions/{batch}.cost.json").read_text())

    def rows_in_store(self, batch: str) -> int:
        """Count the completions in a batch's row store; a completion that two writers stored counts twice."""
        import pyarrow.parquet as pq

        folder = self.results / "store" / batch
        parts = [
            pq.read_table(part, columns=["request_id"])["request_id"].to_pylist() for part in folder.glob("part-*")
        ]
        journals = [journal.read_bytes().splitlines() for journal in folder.glob("journal-*.jsonl")]
        return sum(len(set(ids)) for ids in parts + journals)


def slow_batch(cluster: Cluster, fresh, rows: int, **runtime: object) -> SlurmRun:
    """Reduce the miniature to one batch before its first run: ``rows`` different texts to translate into German."""
    config, folder = rehearsed(fresh.config), fresh.folder
    config["languages"] = ["en", "de"]
    nllb = {"translate": "nllb"}
    config["architectures"] = {"A": {"prompt": nllb, "chosen": nllb, "rejected": nllb}}
    config["wmt"]["translators"] = ["strong"]
    for name in ("strong", "weak"):
        entry = config["checkpoints"][name]
        config["checkpoints"][name] = {
            **entry,
            "runtime": {**entry["runtime"], "max_num_seqs": 1, "flush_s": 1, **runtime},
        }
    segments = folder / "data/wmt24pp/en-de_DE.jsonl"
    known = [json.loads(line) for line in segments.read_text(encoding="utf-8").splitlines()]
    pairs = itertools.islice(itertools.permutations(known, 2), rows)
    texts = [
        a | {"segment_id": i, "is_bad_source": False, "source": f"{a['source']} {b['source']}"}
        for i, (a, b) in enumerate(pairs)
    ]
    segments.write_text("".join(json.dumps(text, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8")
    return SlurmRun(cluster, folder, config)
