"""The parts of `make gpu-check`. Each runs on the GPU, or on the CPU if ``dry``, and returns its figures.

Figures have ``ran``, a text for the page, and, with completions, ``answers``: {kind: [[text, log-probabilities]]}, or
{kind: {request: [text, log-probabilities]}} if other devices may send other requests.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from common import DEMO, ROOT, note, snakemake, temporary_folder
from random_model import Shape, words, write_model
from synthetic_requests import LABELS, NAMES, checkpoint, reply_rows, request_model, sentences, verdict_rows

from polypref.config.registry import Checkpoint, Runtime
from polypref.config.training import Training
from polypref.files.digests import request_id
from polypref.files.schemas import COMPLETIONS, DATASET, REQUESTS
from polypref.files.table_writer import write_table
from polypref.files.tables import read_rows, read_table
from polypref.requests.batch import to_request
from polypref.requests.translate import ask_translations

COUNT = 60
ONE_B = Shape(width=2048, inner=8192, layers=16, heads=32, kv_heads=8, vocabulary=32_000)
TINY = Shape(width=64, inner=128, layers=2, heads=4, kv_heads=2, vocabulary=200)
PAIRS, PAIR_WORDS = 16, 400


def device_name(dry: bool) -> str:
    """Return the name and memory of the GPU."""
    if dry:
        return "the CPU, in place of a GPU (--dry-device)"
    import torch

    if not torch.cuda.is_available():
        return "no GPU: torch sees none"
    card = torch.cuda.get_device_properties(0)
    return f"{card.name}, {card.total_memory / 1e9:.0f} GB, CUDA {torch.version.cuda}"


def packages(dry: bool) -> dict[str, Any]:
    """Check that everything the engines load at run time can be loaded."""
    from polypref.preflight.gpu_packages import faults

    found = [] if dry else list(faults(["vllm", "seq2seq", "training"], driver=True))
    if found:
        raise SystemExit("; ".join(found))
    return {"ran": "not checked on a CPU" if dry else "what vLLM, CTranslate2 and OpenRLHF load at run time loads"}


def vllm(dry: bool) -> dict[str, Any]:
    """Run the miniature's models on vLLM: greedy, sampled, labels."""
    from polypref.requests.engines.vllm import open_engine

    texts = sentences(COUNT)
    kinds = {
        "greedy": ("strong", _translations()),
        "sampled": ("strong", reply_rows(texts, request_model("strong", temperature=0.7, max_tokens=32))),
        "labels": ("judge", verdict_rows(texts, request_model("judge", **LABELS), "judge-demo.txt")),
    }
    return _answers(kinds, {name: _on_device(checkpoint(name), dry) for name in ("strong", "judge")}, open_engine)


def beam_search(dry: bool) -> dict[str, Any]:
    """Run beam search of the miniature's strongest decoder on transformers."""
    from polypref.requests.engines.transformers import open_engine

    kinds = {"beam search": ("strong", _translations(beam_size=5))}
    return _answers(kinds, {"strong": _on_device(checkpoint("strong"), dry)}, open_engine)


def _translations(**decoding: Any) -> list[dict[str, Any]]:
    items = [{"item_id": f"{n:06d}", "text": text} for n, text in enumerate(sentences(COUNT))]
    model = request_model("strong", temperature=0.0, max_tokens=64, **decoding)
    return ask_translations(items, "text", model, "x-alma", "none", "de", "German")


def ctranslate2(dry: bool) -> dict[str, Any]:
    """Run the miniature's NLLB on CTranslate2: greedy and beam search."""
    from polypref.requests.engines.seq2seq import open_engine

    codes = yaml.safe_load((DEMO / "models.yaml").read_text(encoding="utf-8"))["checkpoints"]["nllb"]["languages"]
    registry = Checkpoint(engine="seq2seq", path=str(DEMO / "models/nllb"), dtype="float32", languages=codes)
    items = [{"item_id": f"{n:06d}", "text": text} for n, text in enumerate(sentences(COUNT))]
    kinds = {}
    for kind, more in (("NLLB, greedy", {}), ("NLLB, beam search", {"beam_size": 4})):
        named = {"source_code": codes["en"], "target_code": codes["de"]}
        how = request_model("nllb", temperature=0.0, max_tokens=64, **named, **more)
        rows = ask_translations(items, "text", how, "text", "none", "de", NAMES["de"])
        kinds[kind] = ("nllb", rows)
    return _answers(kinds, {"nllb": _on_device(registry, dry, "float16")}, open_engine)


def _on_device(registry: Checkpoint, dry: bool, dtype: str = "bfloat16") -> Checkpoint:
    if dry:
        return registry
    return registry.model_copy(update={"dtype": dtype, "runtime": Runtime(gpus=1, memory_fraction=0.5)})


def _answers(kinds: dict[str, Any], registry: dict[str, Checkpoint], open_engine: Callable) -> dict[str, Any]:
    """Return the completions of all requests by kind, and the rates without the start of the engines."""
    given: dict[str, Any] = {}
    rates, starting = [], 0.0
    for name, entry in registry.items():
        start = time.monotonic()
        engine = open_engine(entry, entry.path, None)
        starting += time.monotonic() - start
        for kind, (owner, rows) in kinds.items():
            if owner != name:
                continue
            start = time.monotonic()
            requests = [to_request(row["request_id"], row["messages"], row["decoding"]) for row in rows]
            found = {done.request_id: done for done in engine.complete(requests)}
            took = time.monotonic() - start
            done = [found[row["request_id"]] for row in rows]
            if failed := [one.error for one in done if one.error is not None]:
                raise SystemExit(f"{kind}: {len(failed)} of {len(done)} failed: {failed[0]}")
            given[kind] = [[one.text, one.logprobs] for one in done]
            rates.append(f"{kind} {len(done) / took:,.0f} rows/s")
            note(f"{kind}: {len(done)} answers")
        engine.close()
    return {"ran": f"{'; '.join(rates)}; start {starting:.0f} s", "answers": given}


def miniature_config(dry: bool, folder: Path) -> dict[str, Any]:
    """Return the miniature's configuration with one architecture that uses every engine, on the device."""
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
    config["architectures"] = {"C": config["architectures"]["C"]}
    config["evaluation"] |= {"opponents": ["weak"]}
    config["wmt"] |= {"translators": ["strong-beam", "nllb"], "segments": 20}
    if dry:
        return config
    registry = yaml.safe_load((ROOT / config["registry"]).read_text(encoding="utf-8"))
    for entry in registry["checkpoints"].values():
        entry["dtype"] = "float16" if entry["engine"] == "seq2seq" else "bfloat16"
        entry["runtime"] |= {"gpus": 1, "memory_fraction": 0.4}
    (folder / "models.yaml").write_text(yaml.safe_dump(registry, sort_keys=False), encoding="utf-8")
    config["registry"] = str(folder / "models.yaml")
    config["training"] |= {"zero_stage": 2, "attn_implementation": "auto"}
    config["training"]["runtime"] |= {"launcher": "deepspeed", "gpus": 1}
    return config


def miniature(dry: bool) -> dict[str, Any]:
    """Run the miniature from the data to the report, by Snakemake."""
    with temporary_folder("gpu-check") as folder:
        path = folder / "config.yaml"
        path.write_text(yaml.safe_dump(miniature_config(dry, folder), allow_unicode=True), encoding="utf-8")
        # Two engines may run at once and share the GPU, so the number of GPUs is not a limit here.
        arguments = ["--resources", "engine=2", "--quiet", "all", "--", "report"]
        snakemake(folder, *arguments, config=path)
        results = folder / "results"
        costs = [json.loads(file.read_text(encoding="utf-8")) for file in results.glob("completions/*/*.cost.json")]
        rows, tokens, seconds = (sum(c[key] for c in costs) for key in ("answered", "completion_tokens", "seconds"))
        (policy,) = (json.loads(file.read_text(encoding="utf-8")) for file in results.glob("policies/*/policy.json"))
        attention = policy["settings"]["attn_implementation"]
        if not (results / "report/index.html").is_file():
            raise SystemExit("there is no report")
        answers = completions_by_request(results)
    return {
        "answers": answers,
        "ran": f"to the report: {rows:,} rows and {tokens:,} tokens in {len(costs)} batches, {tokens / seconds:,.0f} "
        f"tokens/s without engine starts; {policy['steps']} DPO steps (attention: {attention})",
    }


def completions_by_request(results: Path) -> dict[str, dict[str, list[Any]]]:
    """Return all completions of a run by task and request; the number format does not distinguish requests."""
    completions = {
        row["request_id"]: row for f in results.glob("completions/*/*.parquet") for row in read_rows(f, COMPLETIONS)
    }
    found: dict[str, dict[str, list[Any]]] = {}
    for file in sorted(results.glob("requests/*/**/*.parquet")):
        kind = f"miniature, {file.relative_to(results / 'requests').parts[0]}"
        for row in read_table(file, REQUESTS, ["request_id", "model", "messages", "decoding", "sample"]).to_pylist():
            if done := completions.get(row["request_id"]):
                key = request_id(row["model"], row["messages"], json.loads(row["decoding"]), row["sample"])
                logprobs = json.loads(done["logprobs"]) if done["logprobs"] else None
                found.setdefault(kind, {})[key] = [done["text"], logprobs]
    return found


def dpo_lora(dry: bool) -> dict[str, Any]:
    """Run a DPO step with LoRA."""
    return _dpo(dry, lora={"rank": 16, "alpha": 32})


def dpo(dry: bool) -> dict[str, Any]:
    """Run a DPO step that trains all weights."""
    return _dpo(dry, adam_offload=True)


def _dpo(dry: bool, **settings: Any) -> dict[str, Any]:
    """Run one DPO step of a Llama with random weights, by the workflow's training."""
    from polypref.training.training import train

    shape = TINY if dry else ONE_B
    runtime = {"launcher": "cpu", "gpus": 0, "threads": 2} if dry else {"gpus": 1}
    training = Training(
        base="made", batch_size=PAIRS, micro_batch_size=2, max_length=4 * PAIR_WORDS, zero_stage=2,
        runtime=runtime | {"save_steps": -1}, **settings,
    )  # fmt: skip
    with temporary_folder("gpu-check-dpo") as folder:
        _write_weights(folder / "model", shape, dry)
        _write_pairs(folder / "A.parquet", shape)
        base = {"path": str(folder / "model"), "revision": "random"}
        made = train(training, folder / "A.parquet", base, folder / "results", say=note)
        policy = json.loads((made / "policy.json").read_text(encoding="utf-8"))
        log = (made / "log.csv").read_text(encoding="utf-8").splitlines()
        seconds = json.loads((made / "run.json").read_text(encoding="utf-8"))["seconds"]
    loss = dict(zip(log[0].split(","), log[1].split(","), strict=True))["loss"]
    attention = policy["settings"]["attn_implementation"]
    return {
        "ran": f"{policy['steps']} step of {PAIRS} pairs of about {2 * PAIR_WORDS} tokens, "
        f"{shape.parameters / 1e9:.2f}B parameters, attention {attention}, loss {float(loss):.3f}; "
        f"the trainer took {seconds:.0f} s with start and saving"
    }


def _write_weights(folder: Path, shape: Shape, dry: bool) -> None:
    """Write a checkpoint with random weights in bfloat16."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    write_model(folder, shape)
    torch.manual_seed(0)
    with torch.device("cpu" if dry else "cuda"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=torch.bfloat16)
    model.save_pretrained(folder)
    del model
    if not dry:
        torch.cuda.empty_cache()


def _write_pairs(path: Path, shape: Shape) -> None:
    """Write preference pairs whose words are one token each."""
    texts = words(3 * PAIRS, PAIR_WORDS, known=min(900, shape.vocabulary - 20))
    rows = []
    for number in range(PAIRS):
        prompt, chosen, rejected = texts[3 * number : 3 * number + 3]
        turn = {"role": "user", "content": prompt}
        answers = {"chosen_messages": chosen, "rejected_messages": rejected}
        sides = {name: [turn, {"role": "assistant", "content": text}] for name, text in answers.items()}
        row = {"item_id": f"{number:06d}", "language": "en", "prompt_messages": [turn], **sides}
        rows.append(dict.fromkeys(DATASET.names, "") | row)
    write_table(path, rows, DATASET)
