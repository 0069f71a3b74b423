"""Where data sets are: local files, folders and patterns, or names on the Hub."""

from __future__ import annotations

import glob
from pathlib import Path

LOCAL_SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")
COMPRESSED = (".gz", ".zst")
"""Endings of compressed text files, after one of LOCAL_SUFFIXES."""
WORKFLOW = Path(__file__).resolve().parents[4]
"""The folder of the workflow, which holds the Snakefile and ``resources/``."""


def find_file(path: str, root: Path = WORKFLOW) -> Path:
    """Resolve a relative path in the working directory first, then in the workflow's folder."""
    return Path(path) if Path(path).exists() or Path(path).is_absolute() else _or_relative(root / path, path)


def _or_relative(candidate: Path, path: str) -> Path:
    return candidate if candidate.exists() else Path(path)


def data_format(path: str | Path) -> tuple[str, str]:
    """Return the ending of a data file and that of its compression; each is empty if it is missing or not supported."""
    suffixes = Path(path).suffixes
    compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSED else ""
    return suffixes[-1] if suffixes and suffixes[-1] in LOCAL_SUFFIXES else "", compression


def is_local_data(path: str | list[str]) -> bool:
    """Whether a data path is local rather than the name of a data set on the Hub.

    A path is local if it exists, if one of its endings is that of a data file (``pairs.jsonl.gz``), if it starts with a
    dot or a slash, or if it is a pattern (``*.jsonl``). A list of paths is local.
    """
    if not isinstance(path, str):
        return True
    named_as_path = path.startswith((".", "/")) or path.endswith("/") or glob.has_magic(path)
    return named_as_path or Path(path).exists() or not set(Path(path).suffixes).isdisjoint(LOCAL_SUFFIXES)


def data_files(path: str | list[str], root: Path = WORKFLOW) -> list[str]:
    """Return the files of a local data path or several.

    A folder stands for all data files in it and its subfolders, and a pattern for the files that match, both sorted by
    path. A file that does not exist is returned as well.
    """
    found: list[str] = []
    for given in [path] if isinstance(path, str) else path:
        place = find_file(given, root)
        if place.is_dir():
            inside = (file for file in sorted(place.rglob("*")) if data_format(file)[0] and file.is_file())
            found += [str(file) for file in inside if not _is_hidden(file.relative_to(place))]
        elif place.exists() or not glob.has_magic(given):
            found.append(str(place))
        else:
            found += sorted(glob.glob(given, recursive=True)) or sorted(glob.glob(str(root / given), recursive=True))
    return list(dict.fromkeys(found))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)
