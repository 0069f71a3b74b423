"""Measure the main memory that the conversion of a checkpoint for CTranslate2 needs.

    python bench/conversion_memory.py

A translator in the shape of NLLB-200 (615M parameters) with random weights is converted in a separate process, from and
to 32 and 16 bits.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from common import DEMO, SCRIPTS, machine, note, options, run_process, table, temporary_folder, today, versions

CONVERT = """
import sys
from polypref.requests.engines.conversion import convert
convert(sys.argv[1], "x", sys.argv[2], trust_remote_code=False)
"""
VOCABULARY, WIDTH, INNER, HEADS = 256_206, 1024, 4096, 16


def write_translator(folder: Path, layers: int, dtype: str, smoke: bool) -> int:
    """Write a checkpoint with random weights and the miniature's tokenizer; return the number of parameters."""
    import torch
    from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoTokenizer

    config = AutoConfig.from_pretrained(DEMO / "models/nllb")
    if not smoke:
        config.d_model, config.vocab_size = WIDTH, VOCABULARY
        config.encoder_ffn_dim = config.decoder_ffn_dim = INNER
        config.encoder_attention_heads = config.decoder_attention_heads = HEADS
    config.encoder_layers = config.decoder_layers = config.num_hidden_layers = layers
    model = AutoModelForSeq2SeqLM.from_config(config, dtype=getattr(torch, dtype))
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(DEMO / "models/nllb").save_pretrained(folder)
    return model.num_parameters()


def main() -> None:
    arguments = options(__doc__)
    rows, layers = [], 2 if arguments.smoke else 12
    for stored in ("float32", "float16"):
        with temporary_folder("conversion") as folder:
            writing = [sys.executable, __file__, "--write", str(folder / "model"), str(layers), stored]
            printed = run_process([*writing, *(["--smoke"] if arguments.smoke else [])]).output
            parameters = int(printed.split()[-1])
            size = sum(file.stat().st_size for file in (folder / "model").glob("*.safetensors")) / 1e9
            for kind in ("float32", "float16"):
                environment = {"PYTHONPATH": str(SCRIPTS), "XDG_CACHE_HOME": str(folder / kind)}
                cost = run_process([sys.executable, "-c", CONVERT, str(folder / "model"), kind], env=environment)
                made = sum(file.stat().st_size for file in (folder / kind).rglob("model.bin")) / 1e9
                cells = [f"{size:.2f}", f"{made:.2f}", f"{cost.memory / 1e3:.2f}", f"{cost.processor:.0f}"]
                rows.append([f"{parameters / 1e6:,.0f}M, {stored} to {kind}", *cells])
                note(" ".join(rows[-1]))
    print(table(["checkpoint", "safetensors GB", "converted GB", "peak memory GB", "processor s"], rows))
    print(f"\n*{today()}, {machine()}; {versions()}.*")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        folder, layers, dtype = sys.argv[2:5]
        print(write_translator(Path(folder), int(layers), dtype, "--smoke" in sys.argv))
    else:
        main()
