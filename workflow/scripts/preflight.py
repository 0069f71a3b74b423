"""Check for problems that would appear only hours later: tokens, keys, repositories, GPUs, disk and context lengths."""

import os
from pathlib import Path

from polypref.config.loading import load_config, read_languages
from polypref.files.tables import atomic_write
from polypref.plan.plan import Plan
from polypref.preflight.checks import preflight
from polypref.preflight.estimating import longest_requests
from polypref.preflight.findings import listing
from polypref.running.logs import job

if __name__ == "__main__":
    with job("preflight", snakemake.log[0]) as terminal:
        from huggingface_hub import constants, get_token

        root = Path(__file__).resolve().parents[2]
        plan = Plan(load_config(snakemake.config, root), read_languages(root))
        findings = preflight(
            plan,
            os.environ,
            get_token(),
            Path(constants.HF_HUB_CACHE),
            snakemake.params.here,
            longest_requests(plan, Path(plan.config.results)),
        )
        terminal.report("\n" + listing(findings))
        errors = sum(finding.level == "error" for finding in findings)
        if errors:
            raise RuntimeError(f"{errors} of {len(findings)} findings above are errors; no job was started")
        for path in snakemake.output:
            with atomic_write(path, "w") as file:
                file.write(listing(findings) + "\n")
