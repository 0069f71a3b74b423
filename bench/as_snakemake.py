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
    """Convert a dictionary to a named list like `snakemake.params`."""
    return InputFiles(fromdict=values)


def files(values: dict) -> Namedlist:
    """Convert a dictionary of paths and lists of paths to a named list of all paths, like `snakemake.input`."""
    paths = [path for value in values.values() for path in (value if isinstance(value, list) else [value])]
    found = InputFiles(paths)
    for name, value in values.items():
        setattr(found, name, value)
    return found


def main() -> None:
    script, job = sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    fields = {name: named(job.get(name, {})) for name in ("params", "wildcards")}
    fields |= {name: files(job.get(name, {})) for name in ("input", "output")}
    fields["config"] = job.get("config", {})
    sys.path.insert(0, str(Path(script).parent))
    runpy.run_path(
        script, {"snakemake": SimpleNamespace(**fields, log=[job["log"]], threads=job.get("threads", 1))}, "__main__"
    )


if __name__ == "__main__":
    main()
