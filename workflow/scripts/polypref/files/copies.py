"""Local copies of a job's inputs, which Snakemake fetches from a storage like S3 (docs/scale.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def local_copies(paths: Any, inputs: Iterable[str]) -> Any:
    """Replace each path in nested dicts by that of the input with this path, or of its local copy.

    Without a storage, the paths are returned unchanged. The path of a copy ends with the path of the file.

    Raises
    ------
    ValueError
        No input is a copy of a path.
    """
    files = [str(path) for path in inputs]
    known = set(files)

    def replaced(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: replaced(entry) for key, entry in value.items()}
        if value is None or value in known:
            return value
        suffix = "/" + value.removeprefix("./").lstrip("/")
        for file in files:
            if file.endswith(suffix):
                return file
        raise ValueError(
            f"{value}: no input of this job is this file or a copy of it. With a storage, `results` must be a path "
            "without '..'"
        )

    return replaced(paths)
