"""Print the first request of every batch: messages, decoding, and the rendered prompt if the tokenizer is available."""

from pathlib import Path

from polypref.config.loading import find_file, load_config, read_languages
from polypref.plan.plan import Plan
from polypref.preflight.showing import local_renderer, show
from polypref.requests.ratings import read_template
from polypref.running.logs import job

if __name__ == "__main__":
    with job("show-requests", snakemake.log[0]) as terminal:
        root = Path(__file__).resolve().parents[2]
        plan = Plan(load_config(snakemake.config, root), read_languages(root))
        config = plan.config
        templates = {"judge": find_file(config.judging.prompt, root).read_text(encoding="utf-8")}
        if config.rating.rater:
            templates["rate"] = read_template(find_file(config.rating.prompt, root))
        terminal.report("\n" + show(plan, Path(config.results), templates, local_renderer()))
