"""Run every part of the workflow that uses a GPU once: engines, the miniature, and DPO steps of a 1B model.

    make gpu-check                 on a machine with a GPU, in under eight minutes
    make gpu-check DRY=1           the same on the CPU with tiny models; writes the completions for the comparison, and
                                   compares them with those that an earlier dry run wrote

1. Check that everything each engine loads at run time can be loaded (polypref.preflight.gpu_packages).
2. Complete the same requests as on the CPU (greedy, beam search, sampled, labels with their log-probabilities). The
   CPU's completions are read from --cpu-answers, which a dry run writes. The CPU computes in float32 and the GPU in
   bfloat16, so a few texts may differ.
3. Run the miniature with one architecture, from data to report, by Snakemake: vLLM, CTranslate2 and OpenRLHF. All its
   completions are compared as well; requests that contain other texts than the CPU's are not.
4. Run a DPO step of a Llama-shaped 1B model with random weights, with LoRA and without (ZeRO-2, adam_offload).

Each part runs in a separate process with a time limit. If a part fails, it is listed as failed, and the other parts
still run. The page is printed to stdout; the exit code is 1 if a part failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import gpu_parts
from common import ROOT, SCRIPTS, machine, note, run_process, stdout_to_stderr, table, today, versions

SECONDS = 480.0
"""Time limit of all parts together."""
DRY_SECONDS = 3600.0
PARTS = {
    "packages": gpu_parts.packages,
    "vllm": gpu_parts.vllm,
    "beam-search": gpu_parts.beam_search,
    "ctranslate2": gpu_parts.ctranslate2,
    "miniature": gpu_parts.miniature,
    "dpo-lora": gpu_parts.dpo_lora,
    "dpo": gpu_parts.dpo,
}


def run_part(name: str, dry: bool, limit: float, folder: Path) -> dict[str, Any]:
    """Run a part in a separate process; return its figures, or ``fault``, and the seconds that it took."""
    found = folder / f"{name}.json"
    command = [sys.executable, str(Path(__file__)), "--part", name, "--found", str(found)]
    start, figures = time.monotonic(), {}
    try:
        run_process([*command, *(["--dry-device"] if dry else [])], ROOT, {"PYTHONPATH": str(SCRIPTS)}, limit)
        figures = json.loads(found.read_text(encoding="utf-8"))
    except TimeoutError:
        figures = {"fault": f"stopped after {limit:.0f} s"}
    except RuntimeError as error:
        figures = {"fault": last_words(str(error))}
        note(str(error))
    figures["seconds"] = time.monotonic() - start
    note(f"{name}: {figures['seconds']:.0f} s{', FAILED' if 'fault' in figures else ''}")
    return figures


def last_words(printed: str) -> str:
    """Return the last line that names an error, or else the last line, as a table cell."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    named = [line for line in lines if line.split(":")[0].endswith(("Error", "Exception", "SystemExit"))]
    return (named or lines or ["no output"])[-1][:200].replace("|", "\\|")


def comparison(given: dict[str, Any], expected: dict[str, Any]) -> list[list[str]]:
    """Return a row per kind: completions, those that the CPU has, equal texts, and the maximum log-probability gap."""
    rows = []
    for kind, here in given.items():
        here, there = (dict(enumerate(one)) if isinstance(one, list) else one for one in (here, expected.get(kind, {})))
        pairs = [(one, there[key]) for key, one in here.items() if key in there]
        same = sum(a[0] == b[0] for a, b in pairs)
        apart = [abs(a[1][label] - b[1][label]) for a, b in pairs if a[1] for label in a[1]]
        counts = map(str, (len(here), len(pairs), same))
        rows.append([kind, *counts, f"{max(apart):.3f}" if apart else ""])
    return rows


def page(found: dict[str, dict[str, Any]], expected: dict[str, Any], where: str) -> str:
    """Return the results of all parts, with rates and failures, as Markdown."""
    ran = [
        [name, f"**failed**: {part['fault']}" if "fault" in part else part["ran"], f"{part['seconds']:.0f}"]
        for name, part in found.items()
    ]
    answers = {kind: rows for part in found.values() for kind, rows in part.get("answers", {}).items()}
    compared = comparison(answers, expected) if expected else []
    lines = [f"On {where}.", "", table(["part", "what ran", "s"], ran)]
    if compared:
        head = ["requests", "answers", "of the CPU's requests", "same text", "log-probabilities differ by at most"]
        lines += ["", table(head, compared)]
    return "\n".join([*lines, "", f"*{today()}, {machine()}; {versions()}.*"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-device", action="store_true", help="run on the CPU with tiny models, as a test")
    parser.add_argument("--cpu-answers", default=ROOT / "results/gpu-check-cpu.json", type=Path, metavar="FILE")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS), help="run only these parts")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--found", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    dry, file = arguments.dry_device, arguments.cpu_answers
    if arguments.part:
        with stdout_to_stderr():
            figures = PARTS[arguments.part](dry)
        arguments.found.write_text(json.dumps(figures), encoding="utf-8")
        return
    until = time.monotonic() + (DRY_SECONDS if dry else SECONDS)
    with tempfile.TemporaryDirectory(prefix="polypref-gpu-check-") as folder:
        found = {
            name: run_part(name, dry, max(10.0, until - time.monotonic()), Path(folder)) for name in arguments.only
        }
    expected = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if dry:
        answers = {kind: rows for part in found.values() for kind, rows in part.get("answers", {}).items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(expected | answers), encoding="utf-8")
    elif not expected:
        note(f"{file} is missing, so nothing is compared: `make gpu-check DRY=1` on a CPU machine writes it")
    print(page(found, expected, gpu_parts.device_name(dry)))
    sys.exit(any("fault" in part for part in found.values()))


if __name__ == "__main__":
    main()
