"""Make ``pairs.parquet``, the English base set: de-duplicated, not too long, drawn evenly over the sources."""

from pathlib import Path

from polypref.logs import job
from polypref.sampling import sample_pairs, token_counter
from polypref.schemas import DROPPED, PAIRS
from polypref.script_inputs import read_weights
from polypref.tables import read_rows, write_table

if __name__ == "__main__":
    with job("base set", snakemake.log[0]) as terminal:
        from transformers import AutoTokenizer

        sampling = snakemake.params.sampling
        path, revision = read_weights(snakemake.params.trainee, snakemake.input.trainee)
        tokenizer = AutoTokenizer.from_pretrained(path, revision=revision)
        sources = {Path(path).stem: read_rows(path, PAIRS) for path in snakemake.input.sources}
        pairs, dropped = sample_pairs(sources, count=token_counter(tokenizer), **sampling)
        write_table(snakemake.output.pairs, pairs, PAIRS)
        write_table(snakemake.output.dropped, dropped, DROPPED)
        terminal.say(f"{len(pairs):,} pairs drawn, {len(dropped):,} left out")
        if len(pairs) < sampling["items"]:
            terminal.say(f"sampling.items asks for {sampling['items']:,}, but no more pairs are usable")
