"""Complete a batch and read its file of completions."""

from pathlib import Path

from polypref.files.schemas import COMPLETIONS
from polypref.files.tables import read_rows
from polypref.requests.complete import complete


def completed(paths, store: Path, checkpoint, **options):
    """Return the rows of the completions, which are written next to the row store, and the figures of the run."""
    output = store.with_name(f"{store.name}.parquet")
    run = complete(paths, store, checkpoint, output, **options)
    return read_rows(output, COMPLETIONS), run
