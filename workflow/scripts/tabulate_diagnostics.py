"""Make ``tables/diagnostics.csv``: flags and lengths per architecture, language and source."""

from pathlib import Path

from polypref.diagnostics import tabulate_diagnostics
from polypref.logs import job
from polypref.result_tables import read_frame, write_csv
from polypref.schemas import DIAGNOSTICS

if __name__ == "__main__":
    with job("diagnostics", snakemake.log[0]):
        frames = {Path(path).stem: read_frame(path, DIAGNOSTICS) for path in snakemake.input.diagnostics}
        write_csv(tabulate_diagnostics(frames), snakemake.output[0])
