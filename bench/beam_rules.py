"""Compare the stopping rules of beam search in CTranslate2 and `generate`, on the miniature's models.

CTranslate2 stops when the number of finished hypotheses is the number of beams times `patience`. `generate` continues
while a running beam could still score higher than the worst finished hypothesis. Steps are the tokens generated until
the search stops, summed over all prompts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from beam_differences import differences
from beam_sides import record_tokens, rendered
from common import DEMO, note, temporary_folder
from synthetic_requests import checkpoint, sentences

COUNT, WIDTH, TOKENS = 200, 5, 64
PROMPT = "Translate this from English to German:\nEnglish: {}\nGerman:"
Found = list[tuple[list[int], int]]


def by_generate(model: Path, ids: list[list[int]], end: int) -> Found:
    """Return the best beam and the number of steps of each prompt, from `generate`."""
    import torch
    from transformers import AutoModelForCausalLM

    loaded, found = AutoModelForCausalLM.from_pretrained(model, dtype="float32").eval(), []
    for prompt in ids:
        with torch.inference_mode():
            output = loaded.generate(
                torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long), num_beams=WIDTH,
                early_stopping=False, length_penalty=1.0, max_new_tokens=TOKENS, do_sample=False,
                return_dict_in_generate=True, output_scores=True,
            )  # fmt: skip
        tokens = output.sequences[0, len(prompt) :].tolist()
        found.append((tokens[: tokens.index(end) + 1] if end in tokens else tokens, len(output.scores)))
    return found


def by_ctranslate2(generator: Any, prompts: list[list[str]], patience: float, end: int) -> Found:
    """Return the same from CTranslate2; its search stops when the last hypothesis is finished."""
    results = generator.generate_batch(
        prompts, beam_size=WIDTH, patience=patience, num_hypotheses=round(WIDTH * patience), max_length=TOKENS,
        max_batch_size=1, include_prompt_in_result=False, return_end_token=True, end_token=[end],
    )  # fmt: skip
    return [(result.sequences_ids[0], max(map(len, result.sequences_ids))) for result in results]


def compared(count: int = COUNT) -> list[list[Any]]:
    """Return the rows of the table: model and side, prompts, best beams that differ from `generate`'s, steps."""
    import ctranslate2
    from ctranslate2.converters import TransformersConverter

    rows: list[list[Any]] = []
    for name in ("strong", "weak"):
        model = DEMO / "models" / name
        tokenizer, ids = rendered(str(model), [PROMPT.format(text) for text in sentences(count)])
        end = tokenizer.eos_token_id
        found = {"`generate`": by_generate(model, ids, end)}
        with temporary_folder("rules") as folder:
            TransformersConverter(str(model)).convert(str(folder / "model"), quantization="float32")
            generator = ctranslate2.Generator(str(folder / "model"), intra_threads=1)
            prompts = list(map(tokenizer.convert_ids_to_tokens, ids))
            for patience in (1.0, 2.0):
                found[f"CTranslate2, patience {patience:g}"] = by_ctranslate2(generator, prompts, patience, end)
        for side, one in found.items():
            other = sum(a != b for (a, _), (b, _) in zip(one, found["`generate`"], strict=True))
            rows.append([f"{name}, {side}", count, other, f"{sum(steps for _, steps in one):,}"])
        note(f"rules: {name} done")
    return rows


def searched(count: int = COUNT) -> tuple[list[list[Any]], list[list[Any]]]:
    """Compare complete's engine with `generate`.

    Returns
    -------
    model, prompts and equal best beams of each model; the explained differences, as rows of :mod:`beam_differences`
    """
    from polypref.requests.engines import Request
    from polypref.requests.engines.transformers import open_engine

    rows, explained = [], []
    for name in ("strong", "weak"):
        model, prompts = DEMO / "models" / name, [PROMPT.format(text) for text in sentences(count)]
        tokenizer, ids = rendered(str(model), prompts)
        engine = open_engine(checkpoint(name), str(model), None)
        kept, decoding = record_tokens(engine), {"beam_size": WIDTH, "max_tokens": TOKENS}
        list(
            engine.complete(Request(str(n), [{"role": "user", "content": t}], decoding) for n, t in enumerate(prompts))
        )
        engine.close()
        ours = [kept[str(n)] for n in range(count)]
        theirs = [tokens for tokens, _ in by_generate(model, ids, tokenizer.eos_token_id)]
        rows.append([name, count, sum(a == b for a, b in zip(ours, theirs, strict=True))])
        explained += [[f"{name}, {n}", *more] for n, *more in differences(model, ids, ours, theirs, TOKENS)]
    return rows, explained
