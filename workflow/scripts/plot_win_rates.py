"""Draw the evaluation: win, tie and loss shares per opponent, and the difference to the base per language.

Reads ``tables/win_rates.csv`` and ``tables/improvement_by_language.csv``.
"""

from polypref.figures import save
from polypref.logs import job
from polypref.result_tables import read_csv
from polypref.win_rate_figures import plot_improvement, plot_win_rates

if __name__ == "__main__":
    with job("figures of the win rates", snakemake.log[0]):
        files, names = snakemake.output, snakemake.params.languages
        win_rates = read_csv(snakemake.input.win_rates)
        save(plot_win_rates(win_rates), files.win_rates_svg, files.win_rates_png)
        improvement = read_csv(snakemake.input.improvement_by_language)
        save(plot_improvement(improvement, list(names), names), files.improvement_svg, files.improvement_png)
