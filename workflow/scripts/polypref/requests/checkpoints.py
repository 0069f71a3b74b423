"""What is in a local checkpoint: a digest of the files that determine its answers."""

from __future__ import annotations

import hashlib
from pathlib import Path

MODEL = ("*.safetensors", "config.json", "generation_config.json")
TOKENIZER = (
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "chat_template.*", "vocab.*", "merges.txt",
    "*.model", "*.spm",
)  # fmt: skip
"""Files of the fast tokenizers, of byte-pair encoding and of SentencePiece."""

HUB_FILES = ("*.safetensors", "*.json", "*.jinja", "tokenizer*", "vocab*", "merges.txt", "*.model", "*.spm", "*.bpe")
"""What is fetched of a repository: weights as safetensors, configuration and tokenizer; no pickles and no code."""
HUB_IGNORED = ("original/*", "consolidated*", "onnx/*", "adapter_*", "*.py", "*.gguf")
"""Second copies of the weights that some repositories hold (X-ALMA: as an adapter), and code, which is never run."""
NO_SAFETENSORS = (
    "Pickled weights are not read: name a revision that has safetensors, or convert the weights with `python -m "
    "polypref.preflight.convert_safetensors` and name the local folder"
)


class CheckpointError(ValueError):
    """A folder is no checkpoint that the workflow can read; the message names it and the remedy."""


def _files(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def tokenizer_files(folder: Path) -> list[Path]:
    """The files of a checkpoint's tokenizer and its chat template, sorted by name."""
    return _files(folder, TOKENIZER)


def content_revision(folder: Path) -> str:
    """Digest of a local checkpoint: SHA-256 of the sorted names and bytes of its files, first 16 hexadecimal digits.

    Only the folder's own files count, so a copy of the folder has the same revision wherever it lies.

    Raises
    ------
    CheckpointError
        When the folder does not exist, or has no ``config.json`` or no safetensors.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: there is no such folder; give the path of a checkpoint in the Hub's format")
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder}: has no config.json, so it is no checkpoint in the Hub's format")
    if not any(folder.glob("*.safetensors")):
        raise CheckpointError(
            f"{folder}: has no *.safetensors. Pickled weights are not read; save the model again with "
            "save_pretrained(..., safe_serialization=True)"
        )
    whole = hashlib.sha256()
    for path in _files(folder, MODEL + TOKENIZER):
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
        whole.update(path.name.encode() + b"\0" + content)
    return whole.hexdigest()[:16]


def local_folder(path: str, revision: str | None) -> Path:
    """Folder of a checkpoint: the path itself, or the Hub's snapshot at a revision, fetched where it is not cached.

    Raises
    ------
    CheckpointError
        When the folder has no safetensors.
    """
    folder = Path(path)
    if not folder.is_dir():
        from huggingface_hub import snapshot_download

        folder = Path(
            snapshot_download(
                path, revision=revision, allow_patterns=list(HUB_FILES), ignore_patterns=list(HUB_IGNORED)
            )
        )
    if not any(folder.glob("*.safetensors")):
        raise CheckpointError(f"{path}: has no *.safetensors at {revision or 'main'}. {NO_SAFETENSORS}")
    return folder
