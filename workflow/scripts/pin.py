"""Write the current commit of every repository without a revision into the configuration and the registry."""

from pathlib import Path

from polypref.config.loading import find_file, load_config, read_languages
from polypref.plan.plan import Plan
from polypref.preflight.pinning import hub_commits, pin
from polypref.running.logs import job

if __name__ == "__main__":
    with job("pin", snakemake.log[0]) as terminal:
        from huggingface_hub import get_token

        root = Path(__file__).resolve().parents[2]
        plan = Plan(load_config(snakemake.config, root), read_languages(root))
        files = [Path(file) for file in snakemake.params.files]
        pin(plan, [*files, find_file(plan.config.registry, root)], hub_commits(get_token()), terminal.report)
