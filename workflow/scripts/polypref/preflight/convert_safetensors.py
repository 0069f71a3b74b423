"""Convert pickled weights to safetensors, for repositories that hold nothing else (NLLB-200).

``python -m polypref.preflight.convert_safetensors REPOSITORY_OR_FOLDER OUT [--revision COMMIT]``. OUT is then a local
checkpoint, to be named as ``path:`` in the registry. The pickle is read by torch's restricted unpickler
(``weights_only=True``), which makes tensors and calls nothing that the file names; no code of the repository is run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from polypref.requests.checkpoints import HUB_IGNORED, CheckpointError, content_revision, tokenizer_files

PICKLED = ("pytorch_model*.bin", "*.json", "*.jinja", "tokenizer*", "vocab*", "merges.txt", "*.model", "*.spm")
"""What is fetched of a repository: pickled weights, configuration and tokenizer."""


def convert(folder: Path, out: Path) -> str:
    """Write a checkpoint's weights as safetensors, with its configuration and tokenizer, into a new folder.

    Returns
    -------
    The content digest by which the workflow knows the new checkpoint.

    Raises
    ------
    CheckpointError
        There are no pickled weights, the model's class is not one of transformers', the pickle holds more than
        tensors, or the new folder exists.
    """
    if not any(folder.glob("pytorch_model*.bin")):
        raise CheckpointError(f"{folder}: has no pytorch_model*.bin, so there is nothing to convert")
    if out.exists():
        raise CheckpointError(f"{out}: exists already; name a folder that does not")
    import transformers

    name = (json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures") or ["?"])[0]
    if not hasattr(transformers, name):
        raise CheckpointError(f"{folder}: its config.json names {name}, which is no model of transformers")
    try:
        model = getattr(transformers, name).from_pretrained(
            folder, dtype="auto", use_safetensors=False, weights_only=True, trust_remote_code=False
        )
    except Exception as error:  # torch, pickle and transformers each have their own
        raise CheckpointError(f"{folder}: its weights can't be read as tensors alone: {error}") from error
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    for file in tokenizer_files(folder):
        shutil.copy(file, partial / file.name)
    partial.rename(out)
    return content_revision(out)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 when all went well, 2 with one message when it did not."""
    parser = argparse.ArgumentParser(
        prog="polypref.preflight.convert_safetensors", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("source", help="folder, or repository on the Hub")
    parser.add_argument("out", type=Path, help="folder that is made")
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
    print(f"{given.out} (content {digest}): name it as `path:` of the checkpoint in the registry")
    return 0


if __name__ == "__main__":
    sys.exit(main())
