"""Random but valid results in the workflow's schemas, for tests and for previews of the report without a run.

``python tests/support/synthetic.py FOLDER`` writes the Parquet and JSON files of a whole run below FOLDER.
"""

import functools
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from polypref.files import schemas

LANGUAGES = ["en", "ar", "de", "es", "is", "ja", "nl", "ru", "zh"]
TOKENIZERS = {"ja": "ja-mecab", "zh": "zh"}
OPPONENTS = ["llama-3-8b", "gemma-1.1-7b", "mistral-7b-v0.3"]
POLICIES = ["base", "A", "B", "C"]
SOURCES = ["chatbot_arena", "gutenberg", "helpsteer2"]
TRANSLATORS = {"perfect": 0.02, "good": 0.15, "weak": 0.4, "nllb": 0.3}
SAMPLES = {
    "en": "The river was wide and slow , and nobody crossed it before noon .",
    "ar": "كان النهر واسعا وبطيئا ولم يعبره أحد قبل الظهر في ذلك اليوم .",
    "de": "Der Fluss war breit und langsam , und niemand überquerte ihn vor dem Mittag .",
    "es": "El río era ancho y lento , y nadie lo cruzaba antes del mediodía .",
    "is": "Áin var breið og hæg og enginn fór yfir hana fyrir hádegi þann dag .",
    "ja": "川 は 広く て 流れ が 遅く 、 正午 前 に 渡る 人 は 誰 も い なかった 。",
    "nl": "De rivier was breed en traag , en niemand stak hem over voor de middag .",
    "ru": "Река была широкой и медленной , и никто не переходил её до полудня .",
    "zh": "河 流 宽 阔 而 缓 慢 ， 中 午 之 前 没 有 人 渡 河 。",
}
PROVENANCE = {"model": "tiny", "checkpoint": "tiny-1", "revision": "abc", "decoding": "{}"}


@functools.cache
def _pool(language: str) -> list[str]:
    rng = np.random.default_rng(LANGUAGES.index(language))
    return [sentence(language, rng) for _ in range(50)]


def paragraphs(language: str, rng: np.random.Generator, sentences: int) -> str:
    """Return paragraphs of five sentences; more than one sentence are chosen from a pool of fifty."""
    if sentences == 1:
        return sentence(language, rng)
    chosen = [_pool(language)[number] for number in rng.integers(0, 50, sentences)]
    return "\n\n".join(" ".join(chosen[start : start + 5]) for start in range(0, sentences, 5))


def sentence(language: str, rng: np.random.Generator) -> str:
    """Return a shuffled sentence in the script of a language."""
    words = SAMPLES[language].split()
    return ("" if language in ("zh", "ja") else " ").join(rng.permutation(words)[: rng.integers(6, len(words))])


def segments(language: str, n: int = 24, seed: int = 0) -> pd.DataFrame:
    """Return segments (schema SEGMENTS), six per document."""
    rng = np.random.default_rng([seed, LANGUAGES.index(language)])
    return pd.DataFrame([
        {"item_id": f"doc{i // 6}:{i % 6}", "language": language, "domain": "news", "document_id": f"doc{i // 6}",
         "segment_id": i % 6, "source": sentence("en", rng), "reference": sentence(language, rng)}
        for i in range(n)
    ])  # fmt: skip


def translations(of: pd.DataFrame, noise: float, seed: int = 0) -> pd.DataFrame:
    """Return translations (schema TEXTS) in which a share `noise` of the reference's words is replaced."""
    rng = np.random.default_rng([seed, int(100 * noise)])
    rows = []
    for row in of.itertuples():
        glue = "" if row.language in ("zh", "ja") else " "
        words = list(row.reference) if glue == "" else row.reference.split()
        kept = [word if rng.random() > noise else "x" for word in words]
        rows.append({"item_id": row.item_id, "language": row.language, "text": glue.join(kept), "finish_reason": "stop",
                     "prompt_tokens": 9, "completion_tokens": 9, "error": None, **PROVENANCE})  # fmt: skip
    return pd.DataFrame(rows)


def verdicts(
    policy: str, language: str, prompts: int = 20, edge: float = 0.0, bias: float = 0.05, seed: int = 0
) -> pd.DataFrame:
    """Return verdicts (schema VERDICTS) of a policy that wins with 0.45 + `edge` + `bias` when it is first."""
    rng = np.random.default_rng([seed, sum(map(ord, policy)), LANGUAGES.index(language)])
    rows = []
    for opponent in OPPONENTS:
        for prompt in range(prompts):
            for order in ("policy_first", "opponent_first"):
                win = 0.45 + edge + (bias if order == "policy_first" else -bias)
                verdict = rng.choice(["policy", "opponent", "tie", ""], p=[win, 0.85 - win, 0.12, 0.03])
                reply = {"": "I cannot say.", "tie": "TIE"}.get(verdict, "A" if verdict + "_first" == order else "B")
                rows.append({
                    "item_id": f"{language}-{prompt:04d}", "prompt_id": f"p{prompt:04d}", "language": language,
                    "policy": policy, "opponent": opponent, "order": order, "sample": 0, "reply": reply,
                    "verdict": verdict, "status": "parsed" if verdict else "unparsed", "logprobs": None,
                    "prompt_tokens": 200, "completion_tokens": 1, "error": None, **PROVENANCE,
                })  # fmt: skip
    return pd.DataFrame(rows)


def judged_by_hand(*specs: tuple[str, str, str, str], opponent: str = "x", language: str = "de") -> pd.DataFrame:
    """Return verdicts from (policy, item, verdict when first, verdict when second); "error" and "" are no verdicts."""
    out = []
    for policy, item, *verdicts in specs:
        for order, verdict in zip(("policy_first", "opponent_first"), verdicts, strict=True):
            status = {"": "unparsed", "error": "error"}.get(verdict, "parsed")
            out.append({
                "item_id": item, "prompt_id": item, "language": language, "policy": policy, "opponent": opponent,
                "order": order, "verdict": "" if verdict == "error" else verdict, "status": status,
            })  # fmt: skip
    return pd.DataFrame(out)


def answers(model: str, language: str, prompts: int = 20) -> pd.DataFrame:
    """Return answers (schema TEXTS) of a model to the prompts of :func:`verdicts`; "A" sometimes answers in English."""
    rng = np.random.default_rng([sum(map(ord, model)), LANGUAGES.index(language)])
    rows = []
    for prompt in range(prompts):
        spoken = "en" if model == "A" and rng.random() < 0.2 else language
        text = " ".join([SAMPLES[spoken]] * int(rng.integers(1, 4)))
        rows.append({"item_id": f"{language}-{prompt:04d}", "language": language, "text": text, "finish_reason": "stop",
                     "prompt_tokens": 9, "completion_tokens": 9, "error": None, **PROVENANCE})  # fmt: skip
    return pd.DataFrame(rows)


def prompts_of(language: str, n: int = 20) -> pd.DataFrame:
    """Return the evaluation prompts (schema PROMPTS) of :func:`verdicts` and :func:`answers`."""
    rng = np.random.default_rng([9, LANGUAGES.index(language)])
    return pd.DataFrame([
        {"item_id": f"{language}-{number:04d}", "prompt_id": f"p{number:04d}", "language": language, "config": "hand",
         "prompt": sentence(language, rng), "reference": sentence(language, rng)}
        for number in range(n)
    ])  # fmt: skip


def diagnostics(kept: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Return diagnostics (schema DIAGNOSTICS) in which a tenth of the Icelandic pairs is detected as Danish."""
    rng = np.random.default_rng([seed, len(kept)])
    rows = []
    for row in kept.itertuples():
        wrong = row.language == "is" and rng.random() < 0.1
        signals = {}
        for field in schemas.FIELDS:
            text = getattr(row, field)
            signals |= {
                f"{field}_language": "da" if wrong and field == "chosen" else row.language,
                f"{field}_tokens": len(text) // 4, f"{field}_characters": len(text), f"{field}_repetition": 0.0,
                f"{field}_other_script": 0.0, f"{field}_length_ratio": 1.0, f"{field}_sentence_ratio": None,
                f"{field}_lost_marks": 0,
                f"{field}_source_overlap": 0.0, f"{field}_prompt_overlap": 0.0,
                f"{field}_truncated": bool(field == "rejected" and rng.random() < 0.02),
            }  # fmt: skip
        flags = ["chosen_wrong_language"] if wrong else []
        flags += ["rejected_truncated"] if signals["rejected_truncated"] else []
        gap = signals["chosen_tokens"] - signals["rejected_tokens"]
        rows.append({"item_id": row.item_id, "language": row.language, "source": row.source, **signals,
                     "token_gap": gap, "flags": flags})  # fmt: skip
    return pd.DataFrame(rows)


def dropped(rows: list[tuple[str, int, str, str, str, str]]) -> pd.DataFrame:
    """Return dropped rows (schema DROPPED)."""
    return pd.DataFrame(rows, columns=schemas.DROPPED.names)


def source(name: str, n: int = 20, seed: int = 0, sentences: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the (kept, dropped) rows of a source."""
    rng = np.random.default_rng([seed, len(name)])
    kept = pd.DataFrame([
        {"item_id": f"{name}-{i:03d}", "source": name, "row": i, "task": "", "prompt": sentence("en", rng),
         "chosen": paragraphs("en", rng, sentences), "rejected": paragraphs("en", rng, sentences)}
        for i in range(n)
    ])  # fmt: skip
    left = [(name, n + i, None, None, step, reason) for i, (step, reason) in enumerate(
        [("normalise", "tie"), ("normalise", "tie"), ("clean", "empty response"), ("deduplicate", "same prompt")]
    )]  # fmt: skip
    return kept, dropped(left)


def dataset(
    pairs: pd.DataFrame, architecture: str, seed: int = 0, sentences: int = 1
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the (kept, dropped) rows of an architecture; one answer in Icelandic failed."""
    rng = np.random.default_rng([seed, ord(architecture[0])])
    rows, left = [], []
    for language in LANGUAGES:
        for pair in pairs.itertuples():
            if architecture != "A" and language == "is" and pair.item_id.endswith("000"):
                left.append((pair.source, pair.row, pair.item_id, language, "answer", "chosen: engine error"))
                continue
            lengths = {"prompt": 1, "chosen": sentences, "rejected": sentences}
            text = {
                f: getattr(pair, f) if language == "en" else paragraphs(language, rng, n) for f, n in lengths.items()
            }
            messages = [{"role": "user", "content": text["prompt"]}]
            rows.append({"item_id": pair.item_id, "language": language, "source": pair.source, "task": "", **text,
                         "prompt_messages": messages,
                         "chosen_messages": [*messages, {"role": "assistant", "content": text["chosen"]}],
                         "rejected_messages": [*messages, {"role": "assistant", "content": text["rejected"]}],
                         **{f"{f}_provenance": json.dumps(PROVENANCE) for f in text}})  # fmt: skip
    return pd.DataFrame(rows), dropped(left)


def cost(task: str, checkpoint: str, seed: int = 0) -> dict:
    """Return the content of a batch's cost file."""
    rng = np.random.default_rng([seed, len(task), len(checkpoint)])
    n = int(rng.integers(200, 3000))
    once = {"answered": n, "reused": 0, "errors": 0, "prompt_tokens": n * 60, "completion_tokens": n * 20,
            "engine_starts": 1, "start_seconds": 5.2, "seconds": 5.2 + n / 100, "cost_usd": 0.0}  # fmt: skip
    return {"task": task, "checkpoint": checkpoint, "engine": "vllm", "requests": n, "unique_requests": n, **once,
            "runs": [{**once, "started_at": "2026-11-23T15:00:00Z", "host": "here"}]}  # fmt: skip


def training_log(seed: int = 0, steps: int = 40) -> pd.DataFrame:
    """Return a training log in which the loss falls from ln 2 and the rewards of chosen and rejected diverge."""
    rng = np.random.default_rng(seed)
    step = np.arange(1, steps + 1)
    chosen, rejected = step / 40 + rng.normal(0, 0.05, steps), -step / 40 + rng.normal(0, 0.05, steps)
    return pd.DataFrame(
        {
            "step": step,
            "epoch": 1,
            "loss": 0.4 + 0.293 * np.exp(-step / 15) + rng.normal(0, 0.01, steps),
            "chosen_reward": chosen,
            "rejected_reward": rejected,
            "margin": chosen - rejected,
            "accuracy": np.clip(0.5 + step / 90, 0, 1),
            "lr": 5e-6,
            "grad_norm": 1.0,
        }
    )


def write(frame: pd.DataFrame, path: Path, schema: pa.Schema) -> None:
    """Write an artifact as the workflow does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False), path)


def write_results(
    folder: Path, prompts: int = 20, per_source: int = 20, n_segments: int = 24, sentences: int = 1
) -> None:
    """Write the results of a whole run: segments, translations, verdicts, data sets, logs and costs.

    The published experiment has 150 prompts, 556 pairs per source (three quarters of which are sampled), 960 segments
    and answers of about 20 sentences.
    """
    for language in LANGUAGES[1:]:
        reference = segments(language, n_segments)
        write(reference, folder / f"wmt/{language}.parquet", schemas.SEGMENTS)
        for translator, noise in TRANSLATORS.items():
            if (translator, language) not in {("weak", "ar"), ("weak", "is")}:
                path = folder / f"translations/wmt/source/{translator}/{language}.parquet"
                write(translations(reference, noise), path, schemas.TEXTS)
    for number, policy in enumerate(POLICIES):
        for language in LANGUAGES:
            rows = verdicts(policy, language, prompts, edge=0.05 * number)
            write(rows, folder / f"verdicts/{policy}/{language}.parquet", schemas.VERDICTS)
    for language in LANGUAGES:
        write(prompts_of(language, prompts), folder / f"prompts/{language}.parquet", schemas.PROMPTS)
        for model in [*POLICIES, *OPPONENTS]:
            write(answers(model, language, prompts), folder / f"answers/{model}/{language}.parquet", schemas.TEXTS)
    sources = {name: source(name, per_source, sentences=sentences) for name in SOURCES}
    everything = pd.concat([kept for kept, _ in sources.values()], ignore_index=True)
    chosen = everything["row"] < per_source * 3 // 4
    pairs, rest = everything[chosen], everything[~chosen]
    write(pairs, folder / "pairs.parquet", schemas.PAIRS)
    left = rest.assign(language=None, step="sample", reason="not sampled")[schemas.DROPPED.names]
    write(left, folder / "pairs.dropped.parquet", schemas.DROPPED)
    for name, (kept, left) in sources.items():
        write(kept, folder / f"sources/{name}.parquet", schemas.PAIRS)
        write(left, folder / f"sources/{name}.dropped.parquet", schemas.DROPPED)
    for number, architecture in enumerate(POLICIES[1:]):
        kept, left = dataset(pairs, architecture, sentences=sentences)
        write(kept, folder / f"datasets/{architecture}.parquet", schemas.DATASET)
        write(left, folder / f"datasets/{architecture}.dropped.parquet", schemas.DROPPED)
        write(diagnostics(kept, number), folder / f"diagnostics/{architecture}.parquet", schemas.DIAGNOSTICS)
        log = folder / f"policies/{architecture}/log.csv"
        log.parent.mkdir(parents=True, exist_ok=True)
        training_log(number).to_csv(log, index=False)
        used = {"attn_implementation": "flash_attention_2" if architecture == "C" else "sdpa"}
        policy = {"digest": f"{number:016x}", "rows": 96, "steps": 3, "settings": used}
        log.with_name("policy.json").write_text(json.dumps(policy))
    for task, checkpoint in [("translate", "nllb"), ("translate", "x-alma"), ("judge", "judge"), ("answer", "base")]:
        path = folder / f"completions/{task}/{checkpoint}.cost.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(cost(task, checkpoint)))


if __name__ == "__main__":
    write_results(Path(sys.argv[1]), *map(int, sys.argv[2:]))
