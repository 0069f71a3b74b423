"""Estimate requests, tokens, GPU hours, disk space and dollars of every batch and of training before the run.

Requests are counted if their files exist; otherwise, the configuration and the assumed lengths below determine them.
Throughput, answer lengths and start-up time are taken from earlier runs of the batch, else from the defaults below.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polypref.config.registry import Checkpoint, Decoding
from polypref.files.schemas import REQUESTS
from polypref.files.tables import read_table
from polypref.plan.artifacts import SANITY
from polypref.plan.needs import conversion_bytes, used_checkpoints, weight_bytes
from polypref.plan.plan import SECOND, Plan
from polypref.requests.engines import engine_of
from polypref.requests.engines.openai_batch import DISCOUNT

Row = dict[str, Any]
TEXT_TOKENS = {"prompt": 150, "chosen": 300, "rejected": 300, "source": 45}
"""Assumed mean tokens of an English field; ``source`` is a WMT24++ segment."""
WMT_SEGMENTS = 960
"""Assumed segments of WMT24++ per language pair without bad sources."""
PIECES = {"none": 1, "lines": 6, "sentences": 12}
"""Assumed number of pieces that a field of the base set is split into; a WMT24++ segment has one or two."""
GROWTH = 1.6
"""Assumed tokens of a translation per token of its English source."""
TEMPLATE_TOKENS = 40
ANSWER_TOKENS, EVALUATION_PROMPT_TOKENS, JUDGE_TOKENS, RATER_TOKENS = 400, 60, 250, 80
SHORT = {"judge": 2, "rate": 3}
"""Assumed tokens of a verdict and of a rating."""
TOKENS_PER_SECOND = 20_000.0
"""Default output tokens per second and GPU for a model with 10^9 parameters and continuous batching. Throughput is
inversely proportional to the number of parameters, and at most `FASTEST`. Input is `PREFILL` times as fast."""
FASTEST, PREFILL = 15_000.0, 10.0
SEARCH_SHARE = 0.98
"""Throughput of a decoder's beam search (tokens of all beams) relative to the default rate: see docs/benchmarks.md."""
START_HOURS = 0.05
TRAINING_FLOPS = 10.0
"""FLOPs per parameter and token: forward 2, backward 4, recomputation 2, reference model 2."""
GPU_TFLOPS = 400.0
"""Peak 16-bit TFLOP/s of the GPU that the defaults apply to; ``runtime.gpu_tflops`` scales them for another GPU."""
GPU_FLOPS = 1.2e14
"""Default useful FLOP/s per GPU in training: 30% of the peak."""

ASSUMPTIONS = (
    f"Assumptions unless measured: {TOKENS_PER_SECOND:,.0f} output tokens/s per GPU for 10^9 parameters (inversely "
    f"proportional; each beam counts, with a decoder at {SEARCH_SHARE:g} of that rate, measured on a CPU), input "
    f"{PREFILL:g} times as fast, {START_HOURS * 60:g} minutes to start an engine, {GPU_FLOPS / 1e12:g} useful TFLOP/s "
    f"per GPU in training; for a GPU of {GPU_TFLOPS:g} TFLOP/s, others in proportion (runtime.gpu_tflops). Lengths: "
    f"prompt {TEXT_TOKENS['prompt']}, response "
    f"{TEXT_TOKENS['chosen']}, answer {ANSWER_TOKENS}, WMT24++ segment {TEXT_TOKENS['source']} tokens."
)


def tokens_in(text: str) -> int:
    """Estimate tokens without a tokenizer: one per four ASCII characters, or per one and a half other characters."""
    ascii_only = sum(char < "\x80" for char in text)
    return round(ascii_only / 4 + (len(text) - ascii_only) / 1.5)


def implied(plan: Plan, task: str, stem: str) -> tuple[int, int, int]:
    """Estimate the requests, input tokens and output tokens of a requests file from the configuration."""
    config, parts = plan.config, stem.split("/")
    if task == "translate":
        corpus, field, model, _ = parts
        items = config.sampling.items if corpus == "pairs" else config.wmt.segments or WMT_SEGMENTS
        unit = config.models[model].split
        pieces = PIECES[unit] if corpus == "pairs" else 1 + (unit == "sentences")
        text = items * TEXT_TOKENS[field]
        return items * pieces, text + items * pieces * TEMPLATE_TOKENS, round(text * GROWTH)
    if task == "generate":
        items = config.sampling.items
        return items, round(items * TEXT_TOKENS["prompt"] * GROWTH), round(items * ANSWER_TOKENS * GROWTH)
    if task == "rate":
        items = config.sampling.items
        read = RATER_TOKENS + round((1 + GROWTH) * TEXT_TOKENS[parts[0]])
        return items, items * read, items * SHORT[task]
    items = config.evaluation.prompts_per_language
    if task == "answer":
        return items, round(items * EVALUATION_PROMPT_TOKENS * GROWTH), round(items * ANSWER_TOKENS * GROWTH)
    judging = config.judging
    calls = judging.runs if judging.counting == "sampled" else 2
    if stem == SANITY:  # for an answer compared with itself, both orders are the same request
        judged = 3 * min(items, config.health.sanity_prompts) * len(config.all_languages)
    else:
        share = judging.second.share if judging.second and stem.startswith(SECOND) else 1
        judged = round(items * share) * len(set(config.evaluation.opponents)) * calls
    read = JUDGE_TOKENS + round(GROWTH * (EVALUATION_PROMPT_TOKENS + 2 * ANSWER_TOKENS))
    return judged, judged * read, judged * SHORT[task]


def counted(path: Path, task: str) -> tuple[int, int, int, int]:
    """Count the unique requests in a file, their input tokens, estimated output tokens, and the longest input."""
    rows = {
        row["request_id"]: sum(tokens_in(message["content"]) for message in row["messages"]) + 8
        for row in read_table(path, REQUESTS, ["request_id", "messages"]).to_pylist()
        if row["request_id"]
    }
    read, longest = sum(rows.values()), max(rows.values(), default=0)
    if task == "translate":
        return len(rows), read, round(max(read - len(rows) * TEMPLATE_TOKENS, len(rows)) * GROWTH), longest
    return len(rows), read, len(rows) * SHORT.get(task, round(ANSWER_TOKENS * GROWTH)), longest


def gpu_share(plan: Plan) -> float:
    """Return the speed of a GPU relative to the one that the defaults apply to, by ``runtime.gpu_tflops``."""
    return (plan.config.runtime.gpu_tflops or GPU_TFLOPS) / GPU_TFLOPS


def throughput(checkpoint: Checkpoint, cost: Row | None, share: float = 1.0) -> tuple[float, bool]:
    """Return the output tokens per second of a batch, and whether an earlier run measured them."""
    if cost and cost["seconds"] > 0 and cost["completion_tokens"]:
        return cost["completion_tokens"] / cost["seconds"], True
    gpus = max(1, checkpoint.runtime.gpus) * checkpoint.runtime.shards
    return share * gpus * min(FASTEST, TOKENS_PER_SECOND * 1e9 / (checkpoint.parameters or 7e9)), False


def token_cost(checkpoint: Checkpoint, decoding: Decoding) -> float:
    """Return the cost of an output token in greedily decoded tokens: one per beam, more if beam search is slower."""
    beams = decoding.beam_size or 1
    return beams / SEARCH_SHARE if engine_of(checkpoint, {"beam_size": beams}) == "transformers" else beams


def estimate_batches(plan: Plan, results: Path, costs: dict[tuple[str, str], Row]) -> list[Row]:
    """Estimate each batch, and add the actual figures of batches that have run.

    Returns
    -------
    Rows with task, checkpoint, requests, counted (whether the requests exist), input_tokens, output_tokens, hours,
    gpu_hours, measured (whether the throughput was measured), disk_gb, cost_usd, actual_requests, actual_tokens,
    actual_hours and actual_cost_usd.
    """
    rows = []
    for (task, name), stems in plan.batches().items():
        checkpoint = plan.config.checkpoints[plan.batch_checkpoint(task, name)]
        files = [results / "requests" / task / f"{stem}.parquet" for stem in stems]
        found = [
            counted(f, task)[:3] if f.is_file() else implied(plan, task, s) for f, s in zip(files, stems, strict=True)
        ]
        requests, read, written = (sum(column) for column in zip(*found, strict=True))
        cost = costs.get((task, name))
        rate, measured = throughput(checkpoint, cost, gpu_share(plan))
        if measured and cost.get("answered"):
            written = round(requests * cost["completion_tokens"] / cost["answered"])
        decodings = [_decoding(plan, task, stem) for stem in stems]
        engines = {engine_of(checkpoint, decoding.model_dump()) for decoding in decodings}
        start, work = START_HOURS, float(written)
        if measured:
            start = cost["start_seconds"] / 3600 / max(1, cost.get("engine_starts", 1))
        else:
            costs_of = [token_cost(checkpoint, decoding) for decoding in decodings]
            work = sum(each[2] * token for each, token in zip(found, costs_of, strict=True)) + read / PREFILL
        hours = start * len(engines) + work / rate / 3600
        price, share = checkpoint.price, DISCOUNT if checkpoint.runtime.batch_api else 1.0
        rows.append(
            {
                "task": task,
                "checkpoint": name,
                "requests": requests,
                "counted": all(file.is_file() for file in files),
                "input_tokens": read,
                "output_tokens": written,
                "hours": hours,
                "gpu_hours": hours * checkpoint.runtime.of_batch("gpus"),
                "measured": measured,
                "disk_gb": (weight_bytes(checkpoint) or 0) / 1e9,
                "cost_usd": share * (read * price.input + written * price.output) / 1e6 if price else 0.0,
                "actual_requests": cost["unique_requests"] if cost else None,
                "actual_tokens": cost["completion_tokens"] if cost else None,
                "actual_hours": (cost["seconds"] + cost["start_seconds"]) / 3600 if cost else None,
                "actual_cost_usd": cost["cost_usd"] if cost else None,
            }
        )
    return rows


def estimate_training(plan: Plan, measured: dict[str, Row] | None = None) -> Row:
    """Estimate the training of all architectures one after the other: pairs, tokens, hours, gpu_hours, measured.

    Parameters
    ----------
    measured : finished trainings (:func:`.measured_training`); if given, their seconds per row and process replace the
        default throughput
    """
    training = plan.config.training
    pairs = plan.config.sampling.items * len(plan.config.all_languages)
    per_pair = 2 * min(training.max_length, round(GROWTH * (TEXT_TOKENS["prompt"] + TEXT_TOKENS["chosen"])))
    tokens = pairs * per_pair * training.epochs * len(plan.trained)
    parameters = plan.config.checkpoints[training.base].parameters or 0.0
    gpus = max(1, training.runtime.gpus * training.runtime.nodes)
    gpu_hours = TRAINING_FLOPS * parameters * tokens / GPU_FLOPS / gpu_share(plan) / 3600
    if measured:
        work = sum(run["seconds"] * run["processes"] for run in measured.values())
        per_row = work / sum(run["rows"] for run in measured.values())
        gpu_hours = per_row * pairs * training.epochs * len(plan.trained) / 3600
    return {
        "pairs": pairs * len(plan.trained),
        "tokens": tokens,
        "hours": gpu_hours / gpus,
        "gpu_hours": gpu_hours,
        "measured": bool(measured),
    }


def disk_gb(plan: Plan) -> float:
    """Return the GB of all used checkpoints, and of the converted copies for the engine seq2seq."""
    sizes = {c.path: weight_bytes(c) or 0.0 for c in used_checkpoints(plan).values() if c.engine != "openai"}
    return (sum(sizes.values()) + conversion_bytes(plan)) / 1e9


def _decoding(plan: Plan, task: str, stem: str) -> Decoding:
    if task in ("translate", "generate"):
        return plan.config.models[stem.split("/")[-2]].decoding
    if task == "answer":
        return plan.config.evaluation.decoding
    if task == "rate":
        return plan.config.rating.decoding
    second = plan.config.judging.second
    return second.decoding if second and stem.startswith(SECOND) else plan.config.judging.decoding


def longest_requests(plan: Plan, results: Path) -> dict[tuple[str, str], tuple[int, int]]:
    """Estimate the longest prompt and the longest possible answer of each batch: {batch: (prompt, answer)} in tokens.

    Prompts are measured if the requests exist. Otherwise, ``sampling.max_tokens`` and the maximum answer length bound
    them; evaluation prompts that were not read yet are assumed to be short.
    """
    config = plan.config
    bound = {
        "translate": config.sampling.max_tokens,
        "generate": config.sampling.max_tokens,
        "rate": round((1 + GROWTH) * config.sampling.max_tokens) + RATER_TOKENS,
        "answer": EVALUATION_PROMPT_TOKENS,
        "judge": 2 * config.evaluation.decoding.max_tokens + JUDGE_TOKENS,
    }
    found = {}
    for (task, name), stems in plan.batches().items():
        files = [results / "requests" / task / f"{stem}.parquet" for stem in stems]
        lengths = [counted(file, task)[3] for file in files if file.is_file()]
        # Lines and sentences are shorter than whole texts; until the requests exist, a quarter is assumed.
        split = task == "translate" and all(config.models[stem.split("/")[2]].split != "none" for stem in stems)
        prompt = max(lengths) if lengths else bound[task] // (4 if split else 1)
        found[task, name] = (prompt, max(_decoding(plan, task, stem).max_tokens for stem in stems))
    return found


def table(rows: list[Row], training: Row, disk: float, peak: float | None) -> str:
    """Format the estimate as text; ``disk`` (weights) and ``peak`` (training) are in GB."""
    cells = [["batch", "requests", "in", "out", "hours", "GPU h", "USD", "throughput"]]
    for row in rows:
        requests = f"{row['requests']:,}{' ' if row['counted'] else '~'}"
        tokens = [f"{row[key] / 1e6:,.2f}M" for key in ("input_tokens", "output_tokens")]
        usd = f"{row['cost_usd']:,.2f}" if row["cost_usd"] else "–"
        hours = [f"{row[key]:,.2f}" for key in ("hours", "gpu_hours")]
        source = "measured" if row["measured"] else "assumed"
        cells.append([f"{row['task']}/{row['checkpoint']}", requests, *tokens, *hours, usd, source])
    hours = [f"{training[key]:,.2f}" for key in ("hours", "gpu_hours")]
    source = "measured" if training["measured"] else "assumed"
    cells.append(["training", f"{training['pairs']:,} ", "", f"{training['tokens'] / 1e6:,.2f}M", *hours, "–", source])
    total = {key: sum(row[key] for row in rows) for key in ("requests", "gpu_hours", "cost_usd")}
    gpu_hours = total["gpu_hours"] + training["gpu_hours"]
    cells.append(["total", f"{total['requests']:,} ", "", "", "", f"{gpu_hours:,.2f}", f"{total['cost_usd']:,.2f}", ""])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(_aligned(line, widths)).rstrip() for line in cells]
    lines.insert(1, "-" * len(lines[0]))
    lines += ["", f"Disk: weights {disk:,.0f} GB, training at its peak {peak or 0:,.0f} GB."]
    return "\n".join([*lines, "~: implied by the configuration. " + ASSUMPTIONS])


def _aligned(line: list[str], widths: list[int]) -> list[str]:
    """Pad the cells of a line: names and sources to the left, numbers to the right."""
    first, *numbers = (cell.rjust(width) for cell, width in zip(line[:-1], widths[:-1], strict=True))
    return [line[0].ljust(len(first)), *numbers, line[-1]]
