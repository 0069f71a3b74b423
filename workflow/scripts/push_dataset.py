"""Upload a data set with its card to the Hub: ``push_dataset.py FOLDER OWNER/NAME [--public]``, or ``make push``.

The repository is private unless ``--public`` is given. The token is that of HF_TOKEN or ``hf auth login``.
"""

import argparse
import sys
from pathlib import Path


def push(folder: Path, repository: str, public: bool, api) -> str:
    """Upload a folder below ``datasets/``: card, Croissant metadata and Parquet files; return the URL of the page.

    Raises
    ------
    ValueError
        The folder lacks ``README.md`` or ``train.parquet``, or the name is not OWNER/NAME.
    """
    missing = [name for name in ("README.md", "train.parquet") if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder}: has no {' and no '.join(missing)}; create it with `snakemake datasets`")
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise ValueError(f"{repository!r} is not the name of a repository; expected OWNER/NAME")
    api.create_repo(repository, repo_type="dataset", private=not public, exist_ok=True)
    api.upload_folder(
        repo_id=repository,
        repo_type="dataset",
        folder_path=str(folder),
        allow_patterns=["README.md", "croissant.json", "*.parquet"],
        commit_message=f"Data set {folder.name}",
    )
    return f"https://huggingface.co/datasets/{repository}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("repository", help="OWNER/NAME")
    parser.add_argument("--public", action="store_true")
    options = parser.parse_args()
    from huggingface_hub import HfApi

    try:
        print(push(options.folder, options.repository, options.public, HfApi()))
    except (ValueError, OSError) as error:  # errors of the Hub are OSErrors, and do not contain the token
        sys.exit(f"{options.repository}: the upload failed: {error}")
