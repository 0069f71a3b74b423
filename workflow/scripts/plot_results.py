"""Plot the data sets (lengths and flags) and the evaluation (win rates and differences from the base).

Reads the tables that ``tabulate_datasets`` and ``tabulate_win_rates`` wrote.
"""

from polypref.evaluation.win_rates import ALL
from polypref.figures.datasets import flag_frame, plot_flags, plot_lengths
from polypref.figures.improvement import plot_forest, plot_improvement
from polypref.figures.style import save, style
from polypref.figures.win_rates import language_frame, plot_language_heatmap, plot_win_rates
from polypref.files.result_tables import read_csv
from polypref.running.logs import job

if __name__ == "__main__":
    with job("figures of the results", snakemake.log[0]), style(snakemake.input.style):
        tables, files, names = snakemake.input, snakemake.output, snakemake.params.languages
        lengths = read_csv(tables.lengths)
        save(plot_lengths(lengths, names), lengths, files, "lengths")
        flags = flag_frame(read_csv(tables.diagnostics))
        save(plot_flags(flags, names), flags, files, "diagnostics")
        win_rates = read_csv(tables.win_rates)
        save(plot_win_rates(win_rates), win_rates, files, "win_rates")
        by_language = language_frame(win_rates, read_csv(tables.win_rates_by_language), list(names))
        save(plot_language_heatmap(by_language, names), by_language, files, "win_rates_by_language")
        improvement = read_csv(tables.improvement_by_language)
        save(plot_improvement(improvement, list(names), names), improvement, files, "improvement")
        each = improvement[improvement["opponent"].ne(ALL)]
        save(plot_forest(each, list(names), names), each, files, "forest")
