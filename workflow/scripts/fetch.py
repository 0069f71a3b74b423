"""Download all data and checkpoints into the Hub's cache, so that the experiment can run with HF_HUB_OFFLINE=1."""

from pathlib import Path

from polypref.config.loading import load_config, read_languages
from polypref.plan.plan import Plan
from polypref.preflight.fetching import fetch
from polypref.requests.engines.conversion import convert
from polypref.running.logs import job

if __name__ == "__main__":
    with job("fetch", snakemake.log[0]) as terminal:
        from datasets import load_dataset
        from huggingface_hub import snapshot_download

        root = Path(__file__).resolve().parents[2]
        plan = Plan(load_config(snakemake.config, root), read_languages(root))
        fetch(plan, load_dataset, snapshot_download, terminal.report, convert)
        terminal.report("everything is in the cache; to run without a network, set HF_HUB_OFFLINE=1")
