"""Conversion for CTranslate2: leftovers of a killed one are removed, and an existing folder is complete."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from polypref.config.sections import Checkpoint
from polypref.requests.engines.conversion import convert, converted_folder, number_format

ROOT = Path(__file__).parents[3]
NLLB = ROOT / "resources/demo/models/nllb"
SLOW = f"""
import sys, time
sys.path.insert(0, "workflow/scripts")
from ctranslate2.converters import TransformersConverter
from polypref.requests.engines.conversion import convert
write = TransformersConverter.convert
def slow(self, folder, **more):
    write(self, folder, **more)
    print("written", flush=True)
    time.sleep(60)
TransformersConverter.convert = slow
convert({str(NLLB)!r}, None, "float32", False)
"""


@pytest.mark.skipif(not NLLB.is_dir(), reason="the demo's checkpoints are not made yet")
def test_a_killed_conversion_is_not_mistaken_for_a_complete_one(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = converted_folder(str(NLLB), None, "float32")
    process = subprocess.Popen([sys.executable, "-c", SLOW], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.strip() == "written":
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    left = [path.name for path in folder.parent.iterdir() if path.is_dir()]
    assert left == [f".converting-{folder.name}"]
    began = time.monotonic()
    assert convert(str(NLLB), None, "float32", False) == folder
    assert time.monotonic() - began < 50, "the lock of the killed conversion is released"
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]
    assert (folder / "model.bin").stat().st_size > 0


def test_the_number_format_is_that_of_the_registry_or_one_that_the_device_supports():
    def kind(dtype, gpus):
        return number_format(Checkpoint(engine="seq2seq", path="o/n", dtype=dtype, runtime={"gpus": gpus}))

    assert (kind("auto", 1), kind("bfloat16", 1), kind("float32", 1)) == ("float16", "bfloat16", "float32")
    assert kind("float16", 0) == kind("auto", 0) == "float32", "this CPU does not support half precision"
