"""Plot lengths and flags of the preference pairs by architecture and language.

Reads ``tables/lengths.csv`` and ``tables/diagnostics.csv``.
"""

from polypref.figures.datasets import flag_frame, plot_flags, plot_lengths
from polypref.figures.style import save, style
from polypref.files.result_tables import read_csv
from polypref.running.logs import job

if __name__ == "__main__":
    with job("figures of the data sets", snakemake.log[0]), style(snakemake.input.style):
        names = snakemake.params.languages
        lengths = read_csv(snakemake.input.lengths)
        save(plot_lengths(lengths, names), lengths, snakemake.output, "lengths")
        flags = flag_frame(read_csv(snakemake.input.diagnostics))
        save(plot_flags(flags, names), flags, snakemake.output, "diagnostics")
