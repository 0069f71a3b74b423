"""Draw the training curves of all architectures from ``policies/{architecture}/log.csv``, in the config's order."""

import pandas as pd

from polypref.figures import save
from polypref.training_figures import plot_training

if __name__ == "__main__":
    names = snakemake.params.architectures
    logs = {name: pd.read_csv(path) for name, path in zip(names, snakemake.input.logs, strict=True)}
    save(plot_training(logs, snakemake.params.get("batch_size")), snakemake.output.svg, snakemake.output.png)
