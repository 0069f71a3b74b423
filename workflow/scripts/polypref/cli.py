"""The command line: ``polypref score-verdicts`` and ``score-translations`` for external files, and ``store``."""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from polypref.config.loading import ConfigError
from polypref.evaluation.agreement import self_agreement
from polypref.evaluation.biases import length_bias
from polypref.evaluation.bootstrap import DRAWS
from polypref.evaluation.estimates import estimate_rates
from polypref.evaluation.external import UNDETERMINED, WORDS, as_judged, as_segments
from polypref.evaluation.external_files import read_file
from polypref.evaluation.improvement import paired_differences, tabulate_improvement
from polypref.evaluation.win_rates import position_bias
from polypref.files.result_tables import TableError, write_csv
from polypref.preflight import store_care
from polypref.requests.row_store import StoreError

TOKENIZERS = {"ja": "ja-mecab", "jpn": "ja-mecab", "ko": "ko-mecab", "kor": "ko-mecab", "zh": "zh", "zho": "zh"}
"""sacreBLEU tokenisers by language; all other languages use 13a."""


def tokenizer_of(language: str) -> str:
    """Return sacreBLEU's tokeniser of a language code, also with a country or script (zh_CN) or as a pair (en-zh)."""
    code = re.fullmatch(r"(?:[a-z]{2,3}-)?([a-z]{2,3})(?:[-_][A-Z].*)?", language)
    return TOKENIZERS.get(code[1], "13a") if code else "13a"


def score_verdicts(judged: pd.DataFrame, base: str | None, draws: int, seed: int) -> dict[str, pd.DataFrame]:
    """Compute all tables for which the verdicts have the required columns.

    Parameters
    ----------
    judged : output of :func:`polypref.evaluation.external.as_judged`.
    base : policy that the others are compared with, paired by prompt, or None.
    draws, seed : number of resamples and seed of the bootstrap.

    Returns
    -------
    The tables by name: estimates; improvement if a base is given; position_bias if every row has an order;
    self_agreement if a pair was judged more than once; length_bias if the lengths are known.

    Raises
    ------
    TableError
        There is no other policy to compare with the base.
    """
    estimates = estimate_rates(judged, draws, seed)
    if judged["language"].eq(UNDETERMINED).all():
        estimates = estimates[estimates["average"].eq("")]  # one language has no averages
    tables = {"estimates": estimates}
    if base is not None:
        if set(judged["policy"]) == {base}:
            raise TableError(f"--base {base}: there is no other policy to compare it with")
        paired = paired_differences(judged, base)
        tables["improvement"] = tabulate_improvement(paired, list(dict.fromkeys(judged["language"])), draws, seed)
    if judged["order"].ne("").all():
        tables["position_bias"] = position_bias(judged)
    if judged.duplicated(["item_id", "policy", "opponent"]).any():
        tables["self_agreement"] = self_agreement(judged)
    if {"policy_length", "opponent_length"} <= set(judged):
        tables["length_bias"] = length_bias(judged)
    return tables


def score_file_of_translations(
    frame: pd.DataFrame, where: str, tokenizers: dict[str, str], draws: int, seed: int, comet: str | None = None
) -> dict[str, pd.DataFrame]:
    """Compute the tables scores and, if there are several translators, comparisons."""
    from sacrebleu.metrics.bleu import BLEU  # slow to import

    from polypref.translation_quality.scores import score_translations

    segments, texts = as_segments(frame, where)
    known = {language: tokenizers.get(language) or tokenizer_of(language) for language in segments}
    absent = set(tokenizers) - set(segments)
    if absent:
        raise TableError(f"--tokenizer: {where} has no language {min(absent)}; it has {', '.join(segments)}")
    wrong = set(known.values()) - set(BLEU.TOKENIZERS)
    if wrong:
        raise TableError(f"--tokenizer: no tokeniser {min(wrong)}; sacreBLEU has {', '.join(sorted(BLEU.TOKENIZERS))}")
    scores, comparisons = score_translations(segments, texts, known, draws=draws, seed=seed)
    if comet:
        from polypref.translation_quality.comet import add_comet

        scores = add_comet(scores, segments, texts, comet)
    return {"scores": scores, **({"comparisons": comparisons} if len(comparisons) else {})}


def _pairs(texts: list[str], option: str) -> dict[str, str]:
    pairs = dict(text.partition("=")[::2] for text in texts)
    for name, value in pairs.items():
        if not (name and value):
            raise TableError(f"--{option} {name}={value}: expected NAME=VALUE")
    if len(pairs) < len(texts):
        raise TableError(f"--{option} {texts[-1]}: each name may be given only once; found {' '.join(texts)}")
    return pairs


def _whole(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isdecimal() and int(text) >= least):
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, found {text!r}")
        return int(text)

    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="polypref",
        description="Statistics for files of verdicts or translations, and maintenance of row stores.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    verdicts = commands.add_parser(
        "score-verdicts", help="win rates with intervals from a judge's verdicts",
        description="Columns: policy, opponent, verdict (policy, opponent, tie; empty: unparsed) or points (0 to 1). "
        "Optional: prompt_id (cluster), item_id, language, run, order (policy_first, opponent_first), status, "
        "policy_length and opponent_length or policy_text and opponent_text. docs/statistics.md describes the output.",
    )  # fmt: skip
    verdicts.add_argument("--base", help="policy to compare the others to, paired by prompt")
    for name, meaning in (("policy-wins", "policy"), ("opponent-wins", "opponent"), ("tie", "tie"), ("unparsed", "")):
        verdicts.add_argument(f"--{name}", metavar="WORD", nargs="+", default=[], dest=f"words_{meaning}",
                              help="values of the verdict column with this meaning")  # fmt: skip
    verdicts.add_argument("--points-range", nargs=2, type=float, default=(0.0, 1.0), metavar=("LOST", "WON"),
                          help="points for a loss and for a win, for example 1 2")  # fmt: skip
    verdicts.add_argument("--drop-unparsed", action="store_true",
                          help="exclude unparsed judgements from N (by default, nobody wins them)")  # fmt: skip
    translations = commands.add_parser(
        "score-translations", help="BLEU and chrF++ with intervals and paired comparisons",
        description="Columns: translator, language, hypothesis, reference. Optional: item_id (segment), document_id "
        "(block of the bootstrap), source (for COMET).",
    )  # fmt: skip
    translations.add_argument("--tokenizer", action="append", default=[], metavar="LANGUAGE=NAME",
                              help="tokeniser of a language (or ja-mecab, ko-mecab, zh, 13a)")  # fmt: skip
    translations.add_argument("--comet", metavar="CHECKPOINT", help="also score with this COMET checkpoint")
    for command in (verdicts, translations):
        command.add_argument("file", help=".csv, .tsv, .jsonl, .json or .parquet")
        command.add_argument("--column", action="append", default=[], metavar="OURS=THEIRS", help="name of a column")
        command.add_argument("--draws", type=_whole(2), default=DRAWS, help="bootstrap draws (default: %(default)s)")
        command.add_argument("--seed", type=_whole(0), default=1)
        command.add_argument("--out", metavar="FOLDER", type=Path, help="write every table to FOLDER as CSV")
    store_care.add_command(commands)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0 on success, or 2 with one message on invalid input."""
    given = _parser().parse_args(arguments)
    try:
        if given.command == "store":
            return store_care.run_command(given)
        frame = read_file(given.file, _pairs(given.column, "column"))
        if given.command == "score-verdicts":
            words = {meaning: (*known, *getattr(given, f"words_{meaning}")) for meaning, known in WORDS.items()}
            judged = as_judged(frame, given.file, words, tuple(given.points_range), given.drop_unparsed)
            tables = score_verdicts(judged, given.base, given.draws, given.seed)
        else:
            tokenizers = _pairs(given.tokenizer, "tokenizer")
            tables = score_file_of_translations(frame, given.file, tokenizers, given.draws, given.seed, given.comet)
        for name, table in tables.items():
            if given.out:
                write_csv(table, given.out / f"{name}.csv")
                print(given.out / f"{name}.csv")
            else:
                print(f"# {name}")
                print(table.to_csv(index=False, float_format="%.6g"))
    except (TableError, ConfigError, StoreError, ImportError) as error:
        print(f"polypref: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"polypref: {error.filename or given.out}: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0
