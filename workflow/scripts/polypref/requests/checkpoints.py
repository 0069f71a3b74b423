"""Files of a checkpoint, and the digest of those that determine its completions."""

from __future__ import annotations

import hashlib
from pathlib import Path

MODEL = ("*.safetensors", "config.json", "generation_config.json")
TOKENIZER = (
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "chat_template.*", "vocab.*", "merges.txt",
    "*.model", "*.spm",
)  # fmt: skip
"""Files of fast tokenizers, byte-pair encoding and SentencePiece."""

HUB_FILES = ("*.safetensors", "*.json", "*.jinja", "tokenizer*", "vocab*", "merges.txt", "*.model", "*.spm", "*.bpe")
"""Files that are downloaded from a repository: safetensors, configuration and tokenizer, but no pickles and no code."""
HUB_IGNORED = ("original/*", "consolidated*", "onnx/*", "adapter_*", "*.py", "*.gguf")
"""Files that are not downloaded: code, and further copies of the weights (X-ALMA has one as an adapter)."""
NO_SAFETENSORS = (
    "Pickled weights are not read: choose a revision with safetensors, or convert the weights with `python -m "
    "polypref.preflight.convert_safetensors` and set `path` to the new folder"
)


class CheckpointError(ValueError):
    """The workflow can't read a checkpoint; the message names the folder and the remedy."""


def _files(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def tokenizer_files(folder: Path) -> list[Path]:
    """List the files of a checkpoint's tokenizer and chat template, sorted by name."""
    return _files(folder, TOKENIZER)


def content_revision(folder: Path) -> str:
    """Compute the digest of a local checkpoint: 16 hexadecimal digits of SHA-256 over the names and bytes of its files.

    The folder's own path is not included, so a copy of the folder has the same revision.

    Raises
    ------
    CheckpointError
        The folder does not exist, or has no ``config.json`` or no safetensors.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: there is no such folder; set `path` to a checkpoint in the Hub's format")
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder}: has no config.json; set `path` to a checkpoint in the Hub's format")
    if not any(folder.glob("*.safetensors")):
        raise CheckpointError(
            f"{folder}: has no *.safetensors. Pickled weights are not read; save the model again with "
            "save_pretrained(..., safe_serialization=True)"
        )
    digest = hashlib.sha256()
    for path in _files(folder, MODEL + TOKENIZER):
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
        digest.update(path.name.encode() + b"\0" + content)
    return digest.hexdigest()[:16]


def local_folder(path: str, revision: str | None) -> Path:
    """Return the folder of a checkpoint: the path itself, or the Hub's snapshot, downloaded if it is not cached.

    Raises
    ------
    CheckpointError
        The folder has no safetensors.
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
