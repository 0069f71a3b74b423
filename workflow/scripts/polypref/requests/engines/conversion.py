"""Checkpoints in CTranslate2's own format, each converted once into a cache folder.

The cache is ``$XDG_CACHE_HOME/polypref/ct2`` (``~/.cache`` by default). A folder in it is named by checkpoint, content
or revision, and number format, and takes as much disk as the weights in that format. A conversion takes main memory for
the weights, and for those that CTranslate2 joins or converts a second time.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from polypref.requests.checkpoints import content_revision, local_folder


def number_format(checkpoint: Any) -> str:
    """Number format that a checkpoint is converted to and computed in.

    Half precision on a GPU, as the weights are published; a CPU computes in what it can, or in float32.
    """
    kind = checkpoint.dtype if checkpoint.dtype != "auto" else "float16" if checkpoint.runtime.gpus else "float32"
    if checkpoint.runtime.gpus:
        return kind
    import ctranslate2

    return kind if kind in ctranslate2.get_supported_compute_types("cpu") else "float32"


def converted_checkpoints() -> Path:
    """The cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "polypref" / "ct2"


def converted_folder(path: str, revision: str | None, kind: str) -> Path:
    """Where the converted checkpoint is or will be."""
    name = "".join(c if c.isalnum() or c in "._-" else "-" for c in path.strip("./"))[-80:]
    return converted_checkpoints() / f"{name}-{revision[:16] if revision else content_revision(Path(path))}-{kind}"


def convert(path: str, revision: str | None, kind: str, trust_remote_code: bool) -> Path:
    """The folder of a checkpoint in CTranslate2's format, made on first use.

    Written under another name first and renamed: a folder that is there is whole. Of two processes that convert at the
    same time one waits for the other, and what a killed one has left behind is removed by the next.
    """
    from filelock import FileLock

    folder = converted_folder(path, revision, kind)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(folder.name + ".lock")):
        if not folder.is_dir():
            from ctranslate2.converters import TransformersConverter

            working = folder.with_name(f".converting-{folder.name}")
            shutil.rmtree(working, ignore_errors=True)
            try:
                source = str(local_folder(path, revision))  # safetensors only
                converter = TransformersConverter(source, low_cpu_mem_usage=True, trust_remote_code=trust_remote_code)
                converter.convert(str(working), quantization=kind, force=True)
                os.replace(working, folder)
            finally:
                shutil.rmtree(working, ignore_errors=True)
    return folder
