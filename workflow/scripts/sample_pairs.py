"""Write ``pairs.parquet``, the English base set: deduplicated, limited in length, and sampled evenly from the sources.
Pairs whose prompt is in the evaluation set are dropped. The whole evaluation set is compared, not only the prompts and
languages of this run, so that the sample does not depend on them.
"""

from collections import Counter
from functools import partial
from pathlib import Path

from polypref.files.schemas import DROPPED, PAIRS
from polypref.files.table_writer import write_table
from polypref.files.tables import TableError, iter_rows
from polypref.requests.asking import read_weights
from polypref.running.logs import job
from polypref.sources.benchmarks import read_evaluation
from polypref.sources.dropping import kind_of_reason
from polypref.sources.sampling import pair_measure, sample_pairs
from polypref.sources.templates import load_trainee

if __name__ == "__main__":
    with job("base set", snakemake.log[0]) as terminal:
        sampling, evaluation = snakemake.params.sampling, snakemake.params.evaluation
        path, revision = read_weights(snakemake.params.trainee, snakemake.input.trainee)
        tokenizer = load_trainee(path, revision, snakemake.params.trainee["chat_template"])
        sources = {Path(path).stem: partial(iter_rows, path, PAIRS) for path in snakemake.input.sources}
        prompts = read_evaluation(snakemake.input.evaluation, evaluation)
        pairs, rest = sample_pairs(sources, measure=pair_measure(tokenizer), evaluation=prompts, **sampling)
        sampled = write_table(snakemake.output.pairs, pairs, PAIRS)
        reasons = Counter()

        def counted():
            for row in rest:
                reasons[f"{row['step']}: {kind_of_reason(row['reason'])}"] += 1
                yield row

        dropped = write_table(snakemake.output.dropped, counted(), DROPPED)
        if not sampled:
            why = "; ".join(f"{reason} ({number:,})" for reason, number in reasons.most_common(3))
            raise TableError(f"all pairs were dropped, so the base set is empty. Most frequent reasons: {why}")
        if found := sum(number for reason, number in reasons.items() if reason.startswith("contamination: ")):
            terminal.report(f"{found:,} pairs are dropped because their prompt is in the evaluation set")
        if faulty := sum(number for reason, number in reasons.items() if reason.startswith("render: ")):
            terminal.report(
                f"{faulty:,} pairs are dropped because the chat template renders their answers equal or empty"
            )
        terminal.report(f"{sampled:,} pairs sampled, {dropped:,} dropped")
        if sampled < sampling["items"]:
            terminal.report(f"sampling.items asks for {sampling['items']:,}, but no more pairs are usable")
