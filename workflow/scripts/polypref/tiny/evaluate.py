"""Evaluate the shipped checkpoints on the demo data, and print tables of translation, answers and judging.

This is a check for developers, with transformers and greedy decoding; the workflow has its own measurements of the same
abilities.
"""

import json
from itertools import combinations
from pathlib import Path

import torch
from sacrebleu import BLEU, CHRF
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from polypref.tiny.data import AYA, LOCALES
from polypref.tiny.lexicon import LANGUAGES
from polypref.tiny.models import load, translation_prompt
from polypref.tiny.nllb import CODES

FAMILY = ("strong", "mid", "base", "weak")
TOKENIZERS = {"ja": "ja-mecab", "zh": "zh"}
MAX_NEW_TOKENS = 64
BATCH = 64


def read_jsonl(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def read_prompts(folder: Path, language: str) -> list[dict]:
    """Read evaluation prompts as the workflow does: human-edited rows replace machine-translated ones; only Hans."""
    code, script = AYA[language]
    rows = {row["id"]: row for row in read_jsonl(folder / "dolly_machine_translated" / f"{code}.jsonl")
            if row["script"] == script}  # fmt: skip
    edited = folder / "dolly_human_edited" / f"{code}.jsonl"
    if edited.exists():
        rows |= {row["id"]: row for row in read_jsonl(edited)}
    return [rows[i] for i in sorted(rows)]


@torch.no_grad()
def complete(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, prompts: list[str]) -> list[str]:
    """Answer user turns with greedy decoding."""
    answers = []
    for start in range(0, len(prompts), BATCH):
        chats = [[{"role": "user", "content": prompt}] for prompt in prompts[start : start + BATCH]]
        batch = tokenizer.apply_chat_template(
            chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
        )
        out = model.generate(**batch, max_new_tokens=MAX_NEW_TOKENS, do_sample=False)
        answers += tokenizer.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    return answers


@torch.no_grad()
def complete_nllb(folder: Path, lines: list[str], language: str) -> list[str]:
    """Translate English lines with the tiny NLLB and greedy decoding."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32)
    batch = tokenizer(lines, padding=True, return_tensors="pt")
    out = model.generate(
        **batch, forced_bos_token_id=tokenizer.convert_tokens_to_ids(CODES[language]), max_length=MAX_NEW_TOKENS
    )
    return tokenizer.batch_decode(out, skip_special_tokens=True)


@torch.no_grad()
def judge(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, prompts: list[str]) -> list[str]:
    """Return the most likely of A, B and TIE for each judge prompt."""
    choices = ("A", "B", "TIE")
    ids = torch.tensor([tokenizer.convert_tokens_to_ids(choice) for choice in choices])
    verdicts = []
    for start in range(0, len(prompts), BATCH):
        chats = [[{"role": "user", "content": prompt}] for prompt in prompts[start : start + BATCH]]
        batch = tokenizer.apply_chat_template(
            chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
        )
        verdicts += [choices[i] for i in model(**batch).logits[:, -1, ids].argmax(-1)]
    return verdicts


def translation_table(folder: Path) -> None:
    """Print corpus BLEU per checkpoint and language on the WMT-like files."""
    print("\nBLEU      " + "".join(f"{language:>8}" for language in LOCALES))
    models = {name: load(folder / "models" / name) for name in FAMILY}
    for name in (*FAMILY, "nllb"):
        scores = []
        for language, locale in LOCALES.items():
            rows = [row for row in read_jsonl(folder / "wmt24pp" / f"en-{locale}.jsonl") if not row["is_bad_source"]]
            lines = [line for row in rows for line in row["source"].split("\n")]
            if name == "nllb":
                translated = iter(complete_nllb(folder / "models" / "nllb", lines, language))
            else:
                translated = iter(complete(*models[name], [translation_prompt(line, language) for line in lines]))
            hypotheses = ["\n".join(next(translated) for _ in row["source"].split("\n")) for row in rows]
            bleu = BLEU(tokenize=TOKENIZERS.get(language, "13a"))
            scores.append(bleu.corpus_score(hypotheses, [[row["target"] for row in rows]]).score)
        print(f"{name:10}" + "".join(f"{score:8.1f}" for score in scores), flush=True)


def answer_table(folder: Path) -> dict[str, dict[str, list[str]]]:
    """Print corpus chrF and exact matches per checkpoint and language on the Aya-like prompts; return the answers."""
    print("\nchrF      " + "".join(f"{language:>8}" for language in LANGUAGES) + "   exact match (all languages)")
    answers: dict[str, dict[str, list[str]]] = {}
    for name in FAMILY:
        model, tokenizer = load(folder / "models" / name)
        answers[name], scores, exact = {}, [], []
        for language in LANGUAGES:
            rows = read_prompts(folder / "aya", language)
            answers[name][language] = complete(model, tokenizer, [row["inputs"] for row in rows])
            targets = [row["targets"] for row in rows]
            scores.append(CHRF().corpus_score(answers[name][language], [targets]).score)
            exact += [answer == target for answer, target in zip(answers[name][language], targets, strict=True)]
        row = "".join(f"{score:8.1f}" for score in scores)
        print(f"{name:10}{row}   {sum(exact) / len(exact):.3f}", flush=True)
    return answers


def judge_table(folder: Path, template: str, answers: dict[str, dict[str, list[str]]]) -> None:
    """Print how often the judge prefers the answer with the higher chrF, in both orders, if the two differ."""
    model, tokenizer = load(folder / "models" / "judge")
    print("\njudge                  n  better  worse    tie   both orders agree   first of the pair wins")
    for left, right in combinations(FAMILY, 2):
        prompts, better = [], []
        for language in LANGUAGES:
            rows = read_prompts(folder / "aya", language)
            for row, a, b in zip(rows, answers[left][language], answers[right][language], strict=True):
                scores = [CHRF().sentence_score(text, [row["targets"]]).score for text in (a, b)]
                if scores[0] == scores[1]:
                    continue
                better += ["A", "B"] if scores[0] > scores[1] else ["B", "A"]
                prompts += [
                    template.replace("{prompt}", row["inputs"]).replace("{answer_a}", x).replace("{answer_b}", y)
                    for x, y in ((a, b), (b, a))
                ]
        verdicts = judge(model, tokenizer, prompts)
        n = len(verdicts)
        correct = sum(verdict == expected for verdict, expected in zip(verdicts, better, strict=True)) / n
        tie = verdicts.count("TIE") / n
        mirror = {"A": "B", "B": "A", "TIE": "TIE"}
        agree = sum(mirror[x] == y for x, y in zip(verdicts[::2], verdicts[1::2], strict=True)) / (n / 2)
        wins = (verdicts[::2].count("A") + verdicts[1::2].count("B")) / n
        print(f"{left + ' - ' + right:18}{n:6}  {correct:6.3f} {1 - correct - tie:6.3f} {tie:6.3f}   {agree:17.3f}"
              f"   {wins:.3f}", flush=True)  # fmt: skip


def evaluate(folder: Path, prompt: Path) -> None:
    """Print all three tables for the checkpoints in `folder`/models."""
    translation_table(folder)
    answers = answer_table(folder)
    judge_table(folder, prompt.read_text("utf-8").rstrip("\n"), answers)
