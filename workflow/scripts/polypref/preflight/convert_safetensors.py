"""Convert pickled weights to safetensors, for repositories that have no safetensors (NLLB-200).

``python -m polypref.preflight.convert_safetensors REPOSITORY_OR_FOLDER OUT [--revision COMMIT]``. OUT is then a local
checkpoint for ``path:`` in the registry. The pickle is read by torch's restricted unpickler (``weights_only=True``),
which creates tensors and calls no functions from the file; no code of the repository is run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from polypref.requests.checkpoints import HUB_IGNORED, CheckpointError, content_revision, tokenizer_files

PICKLED = ("pytorch_model*.bin", "*.json", "*.jinja", "tokenizer*", "vocab*", "merges.txt", "*.model", "*.spm")
"""Files that are downloaded from a repository: pickled weights, configuration and tokenizer."""


def convert(folder: Path, out: Path) -> str:
    """Write a checkpoint's weights as safetensors, with its configuration and tokenizer, into a new folder.

    Returns
    -------
    The content digest that identifies the new checkpoint in the workflow.

    Raises
    ------
    CheckpointError
        There are no pickled weights, transformers has no such model class, the pickle contains more than tensors, or
        the new folder already exists.
    """
    if not any(folder.glob("pytorch_model*.bin")):
        raise CheckpointError(f"{folder}: has no pytorch_model*.bin, so there is nothing to convert")
    if out.exists():
        raise CheckpointError(f"{out}: already exists; choose another output folder")
    import transformers

    name = (json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures") or ["?"])[0]
    if not hasattr(transformers, name):
        raise CheckpointError(
            f"{folder}: transformers has no model class {name} (config.json), so it can't convert the weights"
        )
    try:
        model = getattr(transformers, name).from_pretrained(
            folder, dtype="auto", use_safetensors=False, weights_only=True, trust_remote_code=False
        )
    except Exception as error:  # torch, pickle and transformers raise different errors
        raise CheckpointError(f"{folder}: the weights contain more than tensors, or can't be read: {error}") from error
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    for file in tokenizer_files(folder):
        shutil.copy(file, partial / file.name)
    partial.rename(out)
    return content_revision(out)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0, or 2 after an error message."""
    parser = argparse.ArgumentParser(
        prog="polypref.preflight.convert_safetensors", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("source", help="local folder, or repository on the Hub")
    parser.add_argument("out", type=Path, help="output folder; it must not exist")
    parser.add_argument("--revision", help="commit on the Hub")
    given = parser.parse_args(arguments)
    try:
        folder = Path(given.source)
        if not folder.is_dir():
            from huggingface_hub import snapshot_download

            ignored = [pattern for pattern in HUB_IGNORED if not pattern.endswith(".json")]
            folder = Path(
                snapshot_download(
                    given.source, revision=given.revision, allow_patterns=list(PICKLED), ignore_patterns=ignored
                )
            )
        digest = convert(folder, given.out)
    except (CheckpointError, OSError) as error:
        print(f"polypref.preflight.convert_safetensors: {error}", file=sys.stderr)
        return 2
    print(f"{given.out} (content {digest}): set `path:` of the checkpoint in the registry to this folder")
    return 0


if __name__ == "__main__":
    sys.exit(main())
