"""polypref: multilingual preference data made in competing ways, trained on, and judged.

The package holds all logic of the workflow and imports nothing of Snakemake. It is importable by the workflow's
scripts without installation.
"""

__version__ = "0.1.0"
