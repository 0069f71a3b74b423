"""Loading the CUDA libraries that CTranslate2 opens by name from their pip packages.

CTranslate2 is built for CUDA 12 and opens ``libcublas.so.12`` with ``dlopen`` when it loads a model onto a GPU. cuBLAS
in turn opens ``libnvrtc.so.12`` when it compiles a kernel. pip installs these libraries in folders that the dynamic
loader does not search, and torch only depends on those of CUDA 13. The loader finds a library by name if the process
has already loaded it, so this module loads both in advance.
"""

from __future__ import annotations

import ctypes
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

OPENED_BY_CTRANSLATE2 = {"libnvrtc.so.12": "nvidia-cuda-nvrtc-cu12", "libcublas.so.12": "nvidia-cublas-cu12"}
"""The libraries, in the order in which they are loaded, and the packages that contain them."""
DRIVER = "libcuda.so.1"
"""Library of the GPU's driver, which no package contains."""


class LibraryError(RuntimeError):
    """A library that an engine opens by name can't be loaded; the message names the package to install."""


def packaged_library(name: str, package: str) -> Path | None:
    """Return the path of a shared library in an installed package, or None if there is no such file or package."""
    try:
        found = [file for file in files(package) or () if file.name == name]
    except PackageNotFoundError:
        return None
    return Path(str(found[0].locate())) if found else None


def load_for_ctranslate2() -> list[str]:
    """Load the libraries from their packages or from the loader's search path; call this before loading a model.

    Returns
    -------
    list of str
        The path of each library, or its name if the loader found it.

    Raises
    ------
    LibraryError
        A library is in neither place, or fails to load.
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
