"""Write ``native/{native}/{language}.parquet``, prompts written in the language, and a list of the dropped ones."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from polypref.config.native_prompts import NativePrompts
from polypref.files.schemas import DROPPED, PAIRS
from polypref.files.table_writer import open_table, write_table
from polypref.files.tables import iter_rows
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
        weights, revision = read_weights(params.trainee, snakemake.input.trainee)
        tokenizer = load_trainee(weights, revision, params.trainee["chat_template"])
        evaluation = read_evaluation(snakemake.input.evaluation, params.evaluation)
        made = snakemake.output
        with open_table(made.dropped, DROPPED) as dropped, TemporaryDirectory(prefix="polypref-native-") as folder:
            codes, normalised = {language, params.iso}, Path(folder, "prompts.parquet")
            write_table(normalised, normalise_native(name, native, rows, language, codes, dropped.append), PAIRS)
            read = partial(iter_rows, normalised, PAIRS)
            sampled, rest = sample_native(name, read, tokenizer=tokenizer, evaluation=evaluation, **params.sampling)
            kept = write_table(made.prompts, sampled, PAIRS)
            for row in rest:
                dropped.append({**row, "language": language})
        terminal.report(f"{kept:,} prompts sampled ({params.sampling['items']:,} requested), {dropped.rows:,} dropped")
