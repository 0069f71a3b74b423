"""Write ``native/{native}/{language}.parquet``, prompts written in the language, and a list of the dropped ones."""

from itertools import chain

from polypref.config.native_prompts import NativePrompts
from polypref.files.schemas import DROPPED, PAIRS
from polypref.files.tables import write_table
from polypref.requests.asking import read_weights
from polypref.running.logs import job
from polypref.sources.benchmarks import read_evaluation
from polypref.sources.native import normalise_native, sample_native
from polypref.sources.reading import Data
from polypref.sources.templates import load_trainee

if __name__ == "__main__":
    name, language, params = snakemake.wildcards.native, snakemake.wildcards.language, snakemake.params
    with job(f"native prompts {name} in {language}", snakemake.log[0]) as terminal:
        native = NativePrompts.model_validate(params.native)
        path = list(snakemake.input.data) or native.path
        columns = [native.prompt, *([native.language] if native.language else [])]
        rows = Data(path, columns, native.subset, native.split, native.revision)
        dropped = []
        pairs = list(normalise_native(name, native, rows, language, {language, params.iso}, dropped))
        weights, revision = read_weights(params.trainee, snakemake.input.trainee)
        tokenizer = load_trainee(weights, revision, params.trainee["chat_template"])
        evaluation = read_evaluation(snakemake.input.evaluation, params.evaluation)
        sampled, rest = sample_native(name, pairs, tokenizer=tokenizer, evaluation=evaluation, **params.sampling)
        kept = write_table(snakemake.output.prompts, sampled, PAIRS)
        left = write_table(
            snakemake.output.dropped, chain(dropped, ({**row, "language": language} for row in rest)), DROPPED
        )
        terminal.report(f"{kept:,} prompts sampled ({params.sampling['items']:,} requested), {left:,} dropped")
