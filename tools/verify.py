"""Recompute published numbers with this project's code: ``make verify`` prints ours, published and the difference.

The vectors are small public facts: percentages, counts and worked examples, each with its source. The exit code is 1 if
a number differs by more than its last published digit.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow/scripts"))

from polypref.evaluation.agreement import fleiss  # noqa: E402
from polypref.evaluation.bootstrap import sign_flip_test  # noqa: E402
from polypref.evaluation.estimates import estimate_rates, language_rows, pooled_rows  # noqa: E402
from polypref.evaluation.external import WORDS, as_judged  # noqa: E402
from polypref.evaluation.improvement import adjust  # noqa: E402
from polypref.files.result_tables import read_csv  # noqa: E402
from polypref.translation_quality.bootstrap import bleu_scores, chrf_scores  # noqa: E402
from polypref.translation_quality.scores import score_of, segment_statistics  # noqa: E402

VERDICTS_A_ROW = 6750
"""150 prompts x 9 languages x 5 runs."""
ALPACA = {
    "gpt4": (614, 179, 12, 77.01863354037268, 1.46803688292698),
    "claude": (606, 190, 9, 75.83850931677019, 1.4981004247868313),
    "llama-2-70b-chat-hf": (585, 216, 4, 72.91925465838509, 1.5622590981080728),
}
"""Won, lost, drawn, win rate and standard error in AlpacaEval 0.6.6, claude_leaderboard.csv."""
VICUNA_QA = {
    "rinna-3.6b-ppo": (87, 25, 52, 0.530488, 0.152439, 0.689024),
    "rinna-3.6b-sft-v2": (70, 35, 58, 0.429448, 0.214724, 0.607362),
    "japanese-alpaca-lora-7b": (15, 112, 38, 0.090909, 0.678788, 0.206061),
    "llm-jp-13b-instruct-lora": (65, 146, 26, 0.274262, 0.616034, 0.329114),
}
"""Won, lost, tied, win rate, loss rate and win_rate_adjusted, as FastChat's show_result.py prints them, in the README
of ku-nlp/ja-vicuna-qa-benchmark (Apache 2.0) before and after its pull request 42."""
WMT17 = {
    "uedin-nmt.4722": ([62873, 61287, 37673, 20379, 12397, 7771, 62873, 59869, 56865, 53861], 28.3),
    "LMU-nmt-reranked.4934": ([61360, 61287, 36524, 19221, 11396, 7002, 61360, 58356, 55352, 52348], 27.11),
    "online-B.0": ([62673, 61287, 36838, 19402, 11447, 7012, 62673, 59669, 56665, 53663], 26.65),
    "C-3MA.4959": ([60395, 61287, 33969, 16493, 9174, 5285, 60395, 57391, 54387, 51384], 22.67),
    "online-F.0": ([63256, 61287, 30860, 12487, 5895, 2970, 63256, 60252, 57248, 54244], 15.45),
}
"""Submissions to WMT17, English to German: lengths, matching and all n-grams, counted from the texts in the source
package of sacreBLEU 2.6.0 (Apache 2.0), and the BLEU of Moses' mteval-v13a.pl in its test.sh. docs/statistics.md says
how to take the texts."""
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
HOCHBERG = np.array([1, 4, 19, 95, 201, 278, 298, 344, 459, 3240, 4262, 5719, 6528, 7590, 10000]) / 10000
FLEISS = """0 0 0 0 14/0 2 6 4 2/0 0 3 5 6/0 3 9 2 0/2 2 8 1 1/7 7 0 0 0/3 2 6 3 0/2 5 3 2 2/6 5 2 1 0/0 2 2 3 7"""
NEWCOMBE = {
    (81, 263): (0.2553, 0.3662),
    (15, 148): (0.0624, 0.1605),
    (0, 20): (0.0000, 0.1611),
    (1, 29): (0.0061, 0.1718),
}
DOG = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
DOG_REFERENCES = [
    ["The dog bit the man.", "It was not unexpected.", "The man bit him first."],
    ["The dog had bit the man.", "No one was surprised.", "The man had bitten the dog."],
]


def integer_counts(percent: float, n: int) -> list[int]:
    """Return the counts out of `n` that round to a percentage with two decimals."""
    near = round(percent * n / 100)
    return [count for count in range(near - 1, near + 2) if f"{100 * count / n:.2f}" == f"{percent:.2f}"]


def largest_possible(percents: list[float], n: int) -> int:
    """Return the largest number of verdicts up to `n` that can yield all these percentages."""
    return next(size for size in range(n, 0, -1) if all(integer_counts(percent, size) for percent in percents))


def verdict_rows(won: int, lost: int, n: int, policy: str = "A", opponent: str = "x") -> pd.DataFrame:
    """Return verdicts with these counts, one per prompt."""
    verdict = np.repeat(["policy", "opponent", "tie"], [won, lost, n - won - lost])
    return pd.DataFrame({"prompt_id": np.arange(n), "policy": policy, "opponent": opponent, "language": "und", "run": 0,
                         "verdict": verdict, "status": "parsed"})  # fmt: skip


def check_paper() -> list[tuple]:
    """Recompute the paper's win and loss shares from whole numbers of verdicts, by the win-rate tables' code."""
    rows = []
    for row in read_csv(ROOT / "resources/paper/win_rates.csv").itertuples():
        name, percents, n = f"{row.policy} against {row.opponent}", [row.win_percent, row.loss_percent], VERDICTS_A_ROW
        if not all(integer_counts(percent, n) for percent in percents):
            n = largest_possible(percents, n)
            name += f" (impossible of {VERDICTS_A_ROW:,}; of {n:,})"
        counts = [integer_counts(percent, n)[0] for percent in percents]
        ours = pooled_rows(estimate_rates(verdict_rows(*counts, n), draws=2)).iloc[0]
        for outcome, published, count in zip(("win", "loss"), percents, counts, strict=True):
            rows.append(("paper", f"{outcome} %, {name}: {count:,}", ours[f"{outcome}_percent"], published, 2))
    return rows


def check_alpaca() -> list[tuple]:
    """Recompute AlpacaEval's win rates and standard errors from preferences (1, 2, and 0 for a tie)."""
    rows, words = [], {**WORDS, "tie": ("tie", "0")}
    for model, (won, lost, drawn, rate, error) in ALPACA.items():
        frame = pd.DataFrame({"points": np.repeat([2, 1, 0], [won, lost, drawn]), "policy": model, "opponent": "x"})
        row = pooled_rows(estimate_rates(as_judged(frame, "annotations", words, (1.0, 2.0)), draws=2)).iloc[0]
        rows.append(("AlpacaEval, Claude's leaderboard", f"win rate of {model}", row["score"], rate, 11))
        rows.append(("AlpacaEval, Claude's leaderboard", f"standard error of {model}", row["score_error"], error, 11))
    return rows


def check_vicuna_qa() -> list[tuple]:
    """Recompute rates of the Japanese Vicuna QA Benchmark from verdicts in the format of MT-Bench's files."""
    rows, source = [], "Japanese Vicuna QA Benchmark"
    words = {"policy": ("model_1",), "opponent": ("model_2",), "tie": ("tie",), "": ("error",)}
    for model, (won, lost, tied, *published) in VICUNA_QA.items():
        winner = np.repeat(["model_1", "model_2", "tie"], [won, lost, tied])
        frame = pd.DataFrame({"verdict": winner, "policy": model, "opponent": "x"})
        row = pooled_rows(estimate_rates(as_judged(frame, "judgments", words), draws=2)).iloc[0]
        names = {"win_percent": "win rate", "loss_percent": "loss rate", "score": "adjusted win rate"}
        for (column, name), value in zip(names.items(), published, strict=True):
            rows.append((source, f"{name} of {model}", row[column] / 100, value, 6))
    return rows


def check_translation() -> list[tuple]:
    """Recompute sacreBLEU's example with two references, and its sentence scores."""
    source = "sacreBLEU, README and sacrerouge's test"
    bleu, sentence = BLEU(references=DOG_REFERENCES), BLEU(effective_order=True)
    statistics = segment_statistics(bleu, DOG)
    rows = [(source, "BLEU of the corpus", float(bleu_scores(statistics.sum(axis=0).astype(float))), 48.53, 2)]
    chrf = segment_statistics(CHRF(references=DOG_REFERENCES), DOG).sum(axis=0).astype(float)
    rows.append((source, "chrF2 of the corpus", float(chrf_scores(chrf)), 59.73, 2))
    for number, published in enumerate((100.0, 14.794015674776452, 29.071536848410968)):
        rows.append((source, f"BLEU of sentence {number + 1}", score_of(sentence, statistics[number]), published, 12))
    for system, (counts, published) in WMT17.items():
        ours = float(bleu_scores(np.array(counts, float)))
        rows.append(("WMT17, mteval-v13a.pl in sacreBLEU's test.sh", f"BLEU of {system}", ours, published, 2))
    return rows


def check_tests() -> list[tuple]:
    """Recompute worked examples of the tests, intervals and agreement."""
    p = pd.DataFrame({"p_value": HOCHBERG})
    found = [(adjust(p.assign(family=family))["p_adjusted"] <= 0.05).sum() for family in ("language", "primary")]
    counts = pd.DataFrame([[int(n) for n in line.split()] for line in FLEISS.split("/")])
    flips = sign_flip_test(np.array(DARWIN, float)[:, None])[0] * 2**15
    rows = [
        ("Fisher 1935, s. 21", "sign flips of Darwin's maize as extreme, of 32,768", flips, 1726, 0),
        ("Benjamini and Hochberg 1995", "rejected at 5% by false discovery rate, of 15", found[0], 4, 0),
        ("Benjamini and Hochberg 1995", "rejected at 5% family-wise, of 15", found[1], 3, 0),
        ("Fleiss' kappa, Wikipedia's example", "kappa of 14 raters and 10 subjects", fleiss(counts)[0], 0.210, 3),
    ]
    for (won, n), published in NEWCOMBE.items():
        row = language_rows(estimate_rates(verdict_rows(won, n - won, n), draws=2)).iloc[0]
        for end, value in zip(("low", "high"), published, strict=True):
            ours = row[f"win_percent_{end}"] / 100
            rows.append(("Newcombe 1998, method 3", f"Wilson interval of {won}/{n}, {end}", ours, value, 4))
    return rows


def main() -> int:
    """Print the table; return 1 if a number differs."""
    rows = check_paper() + check_alpaca() + check_vicuna_qa() + check_translation() + check_tests()
    widths = max(len(source) for source, *_ in rows), max(len(what) for _, what, *_ in rows)
    print(f"{'source':{widths[0]}}  {'what':{widths[1]}}  {'ours':>14}  {'published':>14}  difference")
    wrong = 0
    for source, what, ours, published, digits in rows:
        difference = round(float(ours), digits) - published
        wrong += abs(difference) > 10.0**-digits / 2
        shown = min(digits, 9)
        numbers = f"{ours:14.{shown}f}  {published:14.{shown}f}  {difference:.{shown}f}"
        print(f"{source:{widths[0]}}  {what:{widths[1]}}  {numbers}")
    impossible = sum("impossible" in what and what.startswith("win") for _, what, *_ in rows)
    print(f"\n{len(rows) - wrong} of {len(rows)} numbers agree to the last published digit.")
    print(
        f"{12 - impossible} of the paper's 12 rows are whole numbers of {VERDICTS_A_ROW:,} verdicts, each in one way."
    )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
