"""On a GPU: `complete` against a bare call, judging, and tokens per second against the card's limits. Not run yet.

    python bench/bench_gpu.py --size 8B --bandwidth 4800 --compute 990      an H200: GB/s, dense TFLOP/s in bfloat16

The model is Llama-shaped with random weights (vLLM's load_format "dummy"): nothing is fetched. Only config.json and the
miniature's tokenizer are written.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

from common import DEMO, options, stdout_to_stderr, table, workplace
from requests_made import sentences

SHAPES = {
    "8B": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
           "num_key_value_heads": 8},
    "32B": {"hidden_size": 5120, "intermediate_size": 27648, "num_hidden_layers": 64, "num_attention_heads": 40,
            "num_key_value_heads": 8},
}  # fmt: skip
VOCABULARY = 128_256
REQUESTS, TOKENS = 2_000, 256


def write_model(folder: Path, size: str) -> int:
    """A configuration of this size with the miniature's tokenizer; the number of parameters."""
    shutil.copytree(DEMO / "models/strong", folder, ignore=shutil.ignore_patterns("*.safetensors"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    shape = SHAPES[size]
    config |= {**shape, "head_dim": shape["hidden_size"] // shape["num_attention_heads"], "vocab_size": VOCABULARY,
               "tie_word_embeddings": False, "dtype": "bfloat16"}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    width, heads = shape["hidden_size"], config["head_dim"] * shape["num_key_value_heads"]
    layer = 2 * width * width + 2 * width * heads + 3 * width * shape["intermediate_size"]
    return shape["num_hidden_layers"] * layer + 2 * VOCABULARY * width


def main() -> None:
    arguments = options(__doc__, size="8B", bandwidth=4800.0, compute=990.0)
    with workplace("gpu") as folder, stdout_to_stderr():
        from vllm import LLM, SamplingParams

        from polypref.engines import Request
        from polypref.engines.vllm import VllmEngine

        model = folder / "model"
        parameters = write_model(model, arguments.size)
        llm = LLM(str(model), load_format="dummy", dtype="bfloat16", max_model_len=2048)
        engine = VllmEngine(llm, None, 2048)
        texts = sentences(20 if arguments.smoke else REQUESTS)
        chats = [[{"role": "user", "content": text}] for text in texts]
        decoding = {"max_tokens": TOKENS, "temperature": 0.0}
        params = SamplingParams(max_tokens=TOKENS, temperature=0.0)
        rows = []

        def add(name: str, action, streams: int) -> None:
            llm.reset_prefix_cache()
            began = time.perf_counter()
            tokens = action()
            rate = tokens / (time.perf_counter() - began)
            # a decoding step reads every weight once (2 bytes); a token takes 2 operations per parameter
            memory = arguments.bandwidth * 1e9 / (2 * parameters) * streams
            compute = arguments.compute * 1e12 / (2 * parameters)
            rows.append([name, f"{rate:,.0f}", f"{rate / memory:.1%}", f"{rate / compute:.1%}"])

        def bare(some) -> int:
            return sum(len(out.outputs[0].token_ids) for out in llm.chat(some, params, use_tqdm=False))

        def ours() -> int:
            asked = [Request(f"r{n}", chat, decoding) for n, chat in enumerate(chats)]
            return sum(done.completion_tokens for done in engine.answer(asked))

        at_once = llm.llm_engine.vllm_config.scheduler_config.max_num_seqs
        bare(chats[:8])
        for turn in range(1 if arguments.smoke else arguments.repeats):
            add(f"bare call, turn {turn}", lambda: bare(chats), min(at_once, len(chats)))
            add(f"engine of complete, turn {turn}", ours, min(at_once, len(chats)))
        add("one request at a time", lambda: sum(bare([chat]) for chat in chats[:10]), 1)
    print(
        f"{arguments.size} Llama shape, random weights ({parameters / 1e9:.1f}B parameters), {len(texts):,} requests of"
    )
    print(
        f"{TOKENS} tokens, against {arguments.bandwidth:,.0f} GB/s and {arguments.compute:,.0f} TFLOP/s of the card.\n"
    )
    print(table(["run", "tokens/s", "of the memory's limit", "of the compute limit"], rows))


if __name__ == "__main__":
    main()
