"""Draw the translation scores as heatmaps, one for BLEU and one for chrF++.

Reads ``tables/translation_scores.csv``; shows the sentence means, as the paper does.
"""

from polypref.figures import save
from polypref.result_tables import read_csv
from polypref.translation_figures import METRICS, heatmap_frame, plot_heatmap

if __name__ == "__main__":
    scores = read_csv(snakemake.input.scores)
    names = snakemake.params.languages
    for metric, label in METRICS.items():
        wide = heatmap_frame(scores, f"{metric}_sentence_mean", list(names))
        figure = plot_heatmap(wide, f"{label}, mean of sentences (0 to 100)", names)
        save(figure, snakemake.output[f"{metric}_svg"], snakemake.output[f"{metric}_png"])
