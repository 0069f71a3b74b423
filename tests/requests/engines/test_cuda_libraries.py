"""The libraries that CTranslate2 opens by name: all are loaded, and a missing one is reported with a remedy."""

import ctypes
import re

import pytest

from polypref.config.registry import Checkpoint
from polypref.preflight.gpu_packages import binaries, libraries_named_in
from polypref.requests.engines import EngineError, open_engine
from polypref.requests.engines.cuda_libraries import (
    DRIVER,
    OPENED_BY_CTRANSLATE2,
    LibraryError,
    load_for_ctranslate2,
    packaged_library,
)

TENSOR_PARALLEL = {"libnccl.so.2"}  # opened for a model that is split over GPUs, which this workflow does not do


def has_library(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def test_every_cuda_library_that_ctranslate2_opens_is_loaded():
    named = set().union(*(libraries_named_in(binary) for binary in binaries("ctranslate2")))
    cuda = {name for name in named if re.match(r"lib(cu|nv|nccl)", name)}
    assert "libcublas.so.12" in cuda, "if it is built for another CUDA, change OPENED_BY_CTRANSLATE2 and gpu.in"
    assert cuda - {DRIVER} - TENSOR_PARALLEL <= OPENED_BY_CTRANSLATE2.keys()


@pytest.mark.skipif(
    has_library("libcublas.so.12") or packaged_library(*list(OPENED_BY_CTRANSLATE2.items())[1]) is not None,
    reason="this machine has CUDA 12",
)
def test_a_missing_library_is_reported_before_the_model_is_loaded(tmp_path):
    with pytest.raises(LibraryError, match=r"libnvrtc\.so\.12.*pip install nvidia-cuda-nvrtc-cu12"):
        load_for_ctranslate2()
    checkpoint = Checkpoint(engine="seq2seq", path=str(tmp_path), runtime={"gpus": 1})
    with pytest.raises(EngineError, match=r"needs lib\w+\.so\.12 on a GPU.*tools/setup\.sh gpu"):
        open_engine(checkpoint, str(tmp_path), None)


def test_a_library_is_found_in_its_package():
    name = next(path.name for path in binaries("ctranslate2") if path.name.startswith("libctranslate2"))
    assert packaged_library(name, "ctranslate2").is_file()
    assert packaged_library(name, "no-such-package") is None
