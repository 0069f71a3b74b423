"""Run a script of the workflow as a rule would, with its input, output and params from a JSON file.

python bench/as_snakemake.py workflow/scripts/ask_responses.py job.json
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

from snakemake.iocontainers import InputFiles, Namedlist


def named(values: dict) -> Namedlist:
    """Convert a dictionary to a named list like `snakemake.input`."""
    return InputFiles(fromdict=values)


def main() -> None:
    script, job = sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    fields = {name: named(job.get(name, {})) for name in ("input", "output", "params", "wildcards")}
    fields["config"] = job.get("config", {})
    sys.path.insert(0, str(Path(script).parent))
    runpy.run_path(
        script, {"snakemake": SimpleNamespace(**fields, log=[job["log"]], threads=job.get("threads", 1))}, "__main__"
    )


if __name__ == "__main__":
    main()
