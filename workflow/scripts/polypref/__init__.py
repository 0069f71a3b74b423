"""polypref: build multilingual preference data in competing ways, train a model on each, and compare the models.

The package holds all logic of the workflow and does not import Snakemake. The workflow's scripts can import it without
installing it.
"""

__version__ = "0.1.0"
