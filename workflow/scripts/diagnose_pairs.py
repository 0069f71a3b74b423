"""Write ``diagnostics/{architecture}.parquet``: signals and flags of every pair that could be built, dropped or not."""

import os

from polypref.datasets.building import build_dataset
from polypref.datasets.diagnostics import Expected, diagnose, language_identifier, truncated
from polypref.datasets.texts import Ratings, native_files, read_texts
from polypref.files.copies import local_copies
from polypref.files.ids import by_id
from polypref.files.schemas import DIAGNOSTICS, RATED_DIAGNOSTICS
from polypref.files.table_writer import open_table, to_table
from polypref.files.tables import read_ahead
from polypref.requests.asking import read_weights
from polypref.running.logs import job
from polypref.sources.tokens import load_tokenizer, token_counter

if __name__ == "__main__":
    with job(f"diagnostics {snakemake.wildcards.architecture}", snakemake.log[0]) as terminal:
        # lingua and the tokenizer use as many threads as Snakemake allows
        os.environ |= {"RAYON_NUM_THREADS": str(snakemake.threads), "TOKENIZERS_PARALLELISM": "true"}
        path, revision = read_weights(snakemake.params.trainee, snakemake.input.trainee)
        tokenizer = load_tokenizer(path, revision)
        identify = language_identifier(snakemake.params.languages)
        count = token_counter(tokenizer)
        native = local_copies(native_files(snakemake.input.get("settings")), snakemake.input)
        fields = local_copies(snakemake.params.fields, snakemake.input)
        expected = Expected(**snakemake.params.expected)
        rated = snakemake.params.get("ratings")
        ratings = Ratings(local_copies(rated or {}, snakemake.input))
        schema = DIAGNOSTICS if rated is None else RATED_DIAGNOSTICS
        flagged = 0
        with open_table(snakemake.output[0], schema) as writer:
            for language, pairs, texts in read_ahead(read_texts(snakemake.input.pairs, fields, native)):
                rows, _ = build_dataset(pairs, texts, language, drop=())
                originals = pairs.to_pylist()
                if language in native:  # native prompts have no English original
                    originals = [{**pair, "prompt": ""} for pair in originals]
                originals, cut = by_id(originals, "the base set"), truncated(language, texts)
                given = ratings.of(language, pairs)
                found = diagnose(rows.to_pylist(), originals, cut, identify, count, expected, given)
                flagged += sum(bool(row["flags"]) for row in found)
                writer.write(to_table(found, schema))
        terminal.report(f"{flagged:,} of {writer.rows:,} pairs are flagged")
