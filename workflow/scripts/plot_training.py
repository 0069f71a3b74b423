"""Draw the training curves of all architectures from ``policies/{architecture}/log.csv``, in the config's order."""

import pandas as pd

from polypref.figures.style import save, style
from polypref.figures.training import plot_training
from polypref.files.result_tables import read_csv
from polypref.running.logs import job

if __name__ == "__main__":
    with job("training curves", snakemake.log[0]), style(snakemake.input.style):
        names = snakemake.params.architectures
        logs = {name: read_csv(path) for name, path in zip(names, snakemake.input.logs, strict=True)}
        data = pd.concat(logs, names=["architecture", None]).reset_index(level=0)
        save(plot_training(logs, snakemake.params.batch_size), data, snakemake.output, "training")
