"""Print the first request of every batch: messages, decoding, and the rendered prompt if the tokenizer is available."""

from pathlib import Path

from polypref.config.loading import find_file, load_config, read_languages
from polypref.plan.plan import Plan
from polypref.preflight.showing import local_renderer, show
from polypref.running.logs import job

if __name__ == "__main__":
    with job("show-requests", snakemake.log[0]) as terminal:
        root = Path(__file__).resolve().parents[2]
        plan = Plan(load_config(snakemake.config, root), read_languages(root))
        template = find_file(plan.config.judging.prompt, root).read_text(encoding="utf-8")
        terminal.report("\n" + show(plan, Path(plan.config.results), template, local_renderer()))
