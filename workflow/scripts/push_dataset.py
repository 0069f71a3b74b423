"""Put a data set with its card on the Hub: ``push_dataset.py FOLDER OWNER/NAME [--public]``, or ``make push``.

The repository is made private unless it is said otherwise; the token is that of HF_TOKEN or ``hf auth login``.
"""

import argparse
import sys
from pathlib import Path


def push(folder: Path, repository: str, public: bool, api) -> str:
    """Upload a folder under ``datasets/``: its card, its Croissant metadata and its Parquet files; returns the page.

    Raises
    ------
    ValueError
        When the folder lacks ``README.md`` or ``train.parquet``, or the name is not OWNER/NAME.
    """
    missing = [name for name in ("README.md", "train.parquet") if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder}: has no {' and no '.join(missing)}; make it with `snakemake datasets`")
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise ValueError(f"{repository!r} is no name of a repository; give OWNER/NAME")
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
    except (ValueError, OSError) as error:  # the Hub's refusals are OSErrors, without the token in them
        sys.exit(f"{options.repository}: not pushed: {error}")
