"""Make ``pairs.parquet``, the English base set: de-duplicated, not too long, drawn evenly over the sources."""

from functools import partial
from pathlib import Path

from polypref.files.schemas import DROPPED, PAIRS
from polypref.files.tables import iter_rows, write_table
from polypref.requests.asking import read_weights
from polypref.running.logs import job
from polypref.sources.sampling import pair_counter, sample_pairs
from polypref.sources.tokens import load_tokenizer

if __name__ == "__main__":
    with job("base set", snakemake.log[0]) as terminal:
        sampling = snakemake.params.sampling
        path, revision = read_weights(snakemake.params.trainee, snakemake.input.trainee)
        tokenizer = load_tokenizer(path, revision)
        sources = {Path(path).stem: partial(iter_rows, path, PAIRS) for path in snakemake.input.sources}
        pairs, rest = sample_pairs(sources, count=pair_counter(tokenizer), **sampling)
        drawn = write_table(snakemake.output.pairs, pairs, PAIRS)
        dropped = write_table(snakemake.output.dropped, rest, DROPPED)
        terminal.say(f"{drawn:,} pairs drawn, {dropped:,} left out")
        if drawn < sampling["items"]:
            terminal.say(f"sampling.items asks for {sampling['items']:,}, but no more pairs are usable")
