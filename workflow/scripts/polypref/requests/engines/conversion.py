"""Converting checkpoints to CTranslate2's format, once per checkpoint, into a cache folder.

The cache is ``$XDG_CACHE_HOME/polypref/ct2`` (``~/.cache`` by default). The name of each folder in it contains the
checkpoint, its revision or content digest, and the number format. A folder takes as much disk space as the weights in
that format. The main memory that a conversion needs is estimated by :func:`polypref.plan.needs.conversion_memory`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from polypref.requests.checkpoints import content_revision, local_folder


def number_format(checkpoint: Any) -> str:
    """Return the number format in which a checkpoint is stored and run.

    With dtype ``auto``, this is half precision on a GPU and float32 on a CPU. A CPU that does not support the chosen
    format uses float32.
    """
    kind = checkpoint.dtype if checkpoint.dtype != "auto" else "float16" if checkpoint.runtime.gpus else "float32"
    if checkpoint.runtime.gpus:
        return kind
    import ctranslate2

    return kind if kind in ctranslate2.get_supported_compute_types("cpu") else "float32"


def converted_checkpoints() -> Path:
    """Return the cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "polypref" / "ct2"


def converted_folder(path: str, revision: str | None, kind: str) -> Path:
    """Return the folder of a converted checkpoint, which need not exist yet."""
    name = "".join(c if c.isalnum() or c in "._-" else "-" for c in path.strip("./"))[-80:]
    return converted_checkpoints() / f"{name}-{revision[:16] if revision else content_revision(Path(path))}-{kind}"


def convert(path: str, revision: str | None, kind: str, trust_remote_code: bool) -> Path:
    """Convert a checkpoint to CTranslate2's format, unless it is cached, and return the folder.

    The folder is written under a temporary name and then renamed, so an existing folder is always complete. If two
    processes need the same conversion, one waits for the other. Leftovers of a killed conversion are removed.
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
