"""Make ``diagnostics/{architecture}.parquet``: signals and flags of every pair that could be made, dropped or not."""

import os

from polypref.building import build_dataset
from polypref.diagnostics import diagnose, language_identifier, token_counter, truncated
from polypref.logs import job
from polypref.schemas import DIAGNOSTICS, PAIRS
from polypref.script_inputs import read_fields, read_weights
from polypref.tables import by_id, read_rows, write_table

if __name__ == "__main__":
    with job(f"diagnostics {snakemake.wildcards.architecture}", snakemake.log[0]) as terminal:
        # lingua and the tokenizer look at texts in parallel: as many at a time as Snakemake allows
        os.environ |= {"RAYON_NUM_THREADS": str(snakemake.threads), "TOKENIZERS_PARALLELISM": "true"}
        from transformers import AutoTokenizer

        path, revision = read_weights(snakemake.params.trainee, snakemake.input.trainee)
        tokenizer = AutoTokenizer.from_pretrained(path, revision=revision)
        pairs = read_rows(snakemake.input.pairs, PAIRS)
        texts = read_fields(snakemake.params.fields)
        rows, _ = build_dataset(pairs, texts, drop=())
        found = diagnose(
            rows,
            by_id(pairs, "the base set"),
            truncated(texts),
            language_identifier(snakemake.params.languages),
            token_counter(tokenizer),
        )
        write_table(snakemake.output[0], found, DIAGNOSTICS)
        flagged = sum(bool(row["flags"]) for row in found)
        terminal.say(f"{flagged:,} of {len(found):,} pairs have a flag")
