"""Plot the translation scores as heatmaps, one for BLEU and one for chrF++.

Reads ``tables/translation_scores.csv``; shows the sentence means, as the paper does.
"""

from polypref.figures.style import save, style
from polypref.figures.translation_quality import METRICS, caption, heatmap_frame, plot_heatmap
from polypref.files.result_tables import read_csv
from polypref.running.logs import job

if __name__ == "__main__":
    with job("heatmaps", snakemake.log[0]), style(snakemake.input.style):
        scores = read_csv(snakemake.input.scores)
        names = snakemake.params.languages
        for metric in METRICS:
            wide = heatmap_frame(scores, f"{metric}_sentence_mean", list(names))
            figure = plot_heatmap(wide, caption(scores, metric), names)
            save(figure, wide.reset_index(), snakemake.output, metric)
