"""Plot the training curves of all architectures from the training logs ``policies/{policy}/log.csv``."""

from pathlib import Path

import pandas as pd

from polypref.evaluation.trained import Trained
from polypref.figures.style import save, style
from polypref.figures.training import plot_training
from polypref.files.result_tables import read_csv
from polypref.running.logs import job

if __name__ == "__main__":
    with job("training curves", snakemake.log[0]), style(snakemake.input.style):
        logs = {Path(path).parent.name: read_csv(path) for path in snakemake.input.logs}
        trained = Trained(snakemake.params.trained)
        data = pd.concat({trained.label(name): log for name, log in logs.items()}, names=["architecture", None])
        figure = plot_training(trained.by_architecture(logs), snakemake.params.batch_size, snakemake.params.loss)
        save(figure, data.reset_index(level=0), snakemake.output, "training")
