"""The CUDA libraries that CTranslate2 opens by name, loaded from their wheels.

CTranslate2 is built for CUDA 12 and opens ``libcublas.so.12`` with ``dlopen`` when a model is put on a GPU; cuBLAS in
turn opens ``libnvrtc.so.12`` when it compiles a kernel. pip installs them in folders that the loader does not search,
and torch brings those of CUDA 13 only. A library that the process has loaded already is found by its name, so they are
loaded here first.
"""

from __future__ import annotations

import ctypes
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

OPENED_BY_CTRANSLATE2 = {"libnvrtc.so.12": "nvidia-cuda-nvrtc-cu12", "libcublas.so.12": "nvidia-cublas-cu12"}
"""Libraries in the order in which they are loaded, and the packages that bring them."""
DRIVER = "libcuda.so.1"
"""Comes with the GPU's driver, not with a package."""


class LibraryError(RuntimeError):
    """A library that an engine opens by name can't be loaded; the message says what to install."""


def packaged_library(name: str, package: str) -> Path | None:
    """Where an installed package has a shared library of that name; None where it has none or is not installed."""
    try:
        found = [file for file in files(package) or () if file.name == name]
    except PackageNotFoundError:
        return None
    return Path(str(found[0].locate())) if found else None


def load_for_ctranslate2() -> list[str]:
    """Load the libraries, from their packages or else from where the loader searches; call it before a model is loaded.

    Returns
    -------
    list of str
        What was loaded: a path, or a name that the loader found.

    Raises
    ------
    LibraryError
        When one is in neither place, or does not load.
    """
    loaded = []
    for name, package in OPENED_BY_CTRANSLATE2.items():
        where = str(packaged_library(name, package) or name)
        try:
            ctypes.CDLL(where)
        except OSError as error:
            raise LibraryError(
                f"CTranslate2 needs {name} on a GPU, and it can't be loaded ({error}). Remedy: pip install {package}, "
                "or tools/setup.sh gpu, which installs it"
            ) from error
        loaded.append(where)
    return loaded
