"""Tables from categorical columns, read as the workflow does, equal those from texts; answers are read in pieces."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st

from polypref.evaluation.agreement import judge_agreement, self_agreement
from polypref.evaluation.answers import examine_answers, read_lengths
from polypref.evaluation.biases import add_lengths, detect_languages, flag_answers, length_bias, wrong_languages
from polypref.evaluation.estimates import estimate_rates
from polypref.evaluation.improvement import paired_differences, tabulate_improvement
from polypref.evaluation.win_rates import (
    COUNTED,
    PAIR,
    blocks_of_policies,
    judgements,
    position_bias,
    verdicts_in_both_orders,
)
from polypref.files import schemas
from polypref.files.result_tables import Categories, read_all, read_categories
from polypref.health.judge import order_kappa
from polypref.requests.judge import ORDERS

LANGUAGES = ["de", "is"]
POLICIES = ["base", "A", "B"]


@pytest.fixture
def files(tmp_path):
    """Verdict files of three policies in two languages against two opponents; some replies are missing."""
    paths = []
    for policy in POLICIES:
        for code in LANGUAGES:
            frame = synthetic.verdicts(policy, code, prompts=12).reset_index(drop=True)
            frame.loc[frame.index % 7 == 3, ["verdict", "status"]] = "", "unparsed"
            frame.loc[frame.index % 11 == 5, ["verdict", "status"]] = "", "error"
            path = tmp_path / f"verdicts/{policy}/{code}.parquet"
            synthetic.write(frame, path, schemas.VERDICTS)
            paths.append(path)
    return paths


@pytest.mark.parametrize("mode", ["balanced", "paper"])
def test_tables_of_categories_are_those_of_texts(files, mode):
    answers = pd.concat(synthetic.answers(name, code, 12).assign(name=name) for code in LANGUAGES
                        for name in [*POLICIES, *synthetic.OPPONENTS])  # fmt: skip
    answers = answers.assign(length=answers["text"].str.len())

    def tables(verdicts: pd.DataFrame) -> dict[str, pd.DataFrame]:
        judged = judgements(verdicts, mode, 3, 1)
        paired = paired_differences(judged, "base")
        return {
            "rates": estimate_rates(judged, 50),
            "improvement": tabulate_improvement(paired, LANGUAGES, 50),
            "bias": position_bias(verdicts),
            "agreement": self_agreement(judged),
            "length": length_bias(add_lengths(judged, answers)),
            "kappa": pd.DataFrame([order_kappa(verdicts, 50)]),
        }

    compact = read_categories(files, schemas.VERDICTS, COUNTED)
    assert list(compact) == COUNTED and isinstance(compact["item_id"].dtype, pd.CategoricalDtype)
    plain, compact = tables(read_all(files, schemas.VERDICTS)), tables(compact)
    assert len(plain["improvement"]) == 2 * (len(synthetic.OPPONENTS) + 1) * 3 and plain["rates"]["errors"].sum() > 0
    for name, table in plain.items():
        pd.testing.assert_frame_equal(table.astype(object), compact[name].astype(object), obj=name)


def test_the_order_of_the_rows_does_not_matter(files):
    verdicts = read_all(files, schemas.VERDICTS)
    mixed = verdicts.sample(frac=1, random_state=1)

    def tables(verdicts: pd.DataFrame) -> list[pd.DataFrame]:
        judged = judgements(verdicts, "balanced", 1, 1)
        return [position_bias(verdicts), self_agreement(judged), paired_differences(judged, "base")]

    for one, other in zip(tables(verdicts), tables(mixed), strict=True):
        keys = [name for name in ("policy", "opponent", "item_id") if name in one]
        one, other = (table.sort_values(keys, ignore_index=True) for table in (one, other))
        pd.testing.assert_frame_equal(one, other)


def test_two_judges_are_compared_as_categories(files):
    plain = read_all(files, schemas.VERDICTS)
    plain = [plain, plain[plain["prompt_id"].isin(plain["prompt_id"].unique()[::2])]]
    compact = read_categories(files[::-1], schemas.VERDICTS, COUNTED)
    compact = [compact, read_categories(files, schemas.VERDICTS, COUNTED)]
    compact[1] = compact[1][compact[1]["prompt_id"].isin(plain[1]["prompt_id"])]
    one, other = (judge_agreement(*frames, LANGUAGES, 50) for frames in (plain, compact))
    assert one.loc[0, "judgements"] == len(plain[1]) < len(plain[0]) and one.loc[0, "kappa"] == 1
    exact = ["policy", "language", "prompts", "judgements", "parsed", "agreement_percent", "kappa"]
    one, other = (table[exact].sort_values(exact[:2], ignore_index=True) for table in (one, other))
    pd.testing.assert_frame_equal(one.astype(object), other.astype(object))


def test_categories_of_many_texts():
    texts = [*(f"{n}" for n in range(300)), None, *(f"{n % 3}" for n in range(3000))]
    column = Categories()
    for start in range(0, len(texts), 70):
        column.add(pa.chunked_array([texts[start : start + 70]]))
    found = column.column()
    assert found.codes.dtype == np.int16
    assert [None if pd.isna(text) else text for text in found] == texts


def test_no_files_give_an_empty_frame():
    frame = read_categories([], schemas.VERDICTS, COUNTED)
    assert list(frame) == COUNTED and frame.empty


@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(ORDERS), st.sampled_from(["policy", "opponent", "tie", ""])))
)
def test_pairs_in_both_orders_are_those_of_a_pivot(drawn):
    verdicts = pd.DataFrame(drawn, columns=["item_id", "order", "verdict"]).astype({"item_id": str})
    verdicts = verdicts.assign(policy="A", opponent="x", status=np.where(verdicts["verdict"].eq(""), "error", "parsed"))
    once = verdicts[verdicts["status"].eq("parsed")].drop_duplicates([*PAIR, "order"])
    wide = once.pivot(index=PAIR, columns="order", values="verdict").reindex(columns=list(ORDERS)).dropna()
    found = verdicts_in_both_orders(verdicts, PAIR)
    codes = {name: number for number, name in enumerate(["policy", "opponent", "tie"])}
    expected = {key[0]: (codes[row[ORDERS[0]]], codes[row[ORDERS[1]]]) for key, row in wide.iterrows()}
    items = verdicts["item_id"].iloc[found["row"]]
    assert dict(zip(items, zip(found["first"], found["second"], strict=True), strict=True)) == expected


@given(st.lists(st.tuples(st.sampled_from("ABCDE"), st.sampled_from("xyz"))), st.integers(1, 9))
def test_blocks_have_whole_policies_and_few_cells(drawn, most):
    frame = pd.DataFrame(drawn, columns=["policy", "opponent"]).assign(language="de")
    blocks = list(blocks_of_policies(frame, most))
    assert sorted(number for block in blocks for number in block.index) == list(frame.index)
    sizes = [len(block.drop_duplicates()) for block in blocks]
    assert all(size <= most or block["policy"].nunique() == 1 for size, block in zip(sizes, blocks, strict=True))
    assert [name for block in blocks for name in block["policy"].unique()] == list(frame["policy"].unique())
    assert all(block.index.is_monotonic_increasing for block in blocks)


def test_answers_are_read_in_pieces(tmp_path):
    frames, paths = [], []
    for name in ("A", "base"):
        for code in LANGUAGES:
            frame = synthetic.answers(name, code, 9)
            frame.loc[frame.index[::4], "finish_reason"] = "length"
            frame.loc[frame.index[1::4], "text"] = synthetic.SAMPLES["ja"] * 3
            paths.append(tmp_path / f"{name}/{code}.parquet")
            synthetic.write(frame, paths[-1], schemas.TEXTS)
            frames.append(frame.assign(name=name))
    whole = pd.concat(frames, ignore_index=True)
    detected = detect_languages(whole, [*LANGUAGES, "ja"])
    answers, faults = examine_answers(paths, [*LANGUAGES, "ja"])
    pd.testing.assert_frame_equal(faults.astype(object), flag_answers(whole, detected).astype(object))
    pd.testing.assert_frame_equal(
        wrong_languages(answers, answers["detected"]).astype(object), wrong_languages(whole, detected).astype(object)
    )
    lengths = whole[["name", "item_id"]].assign(length=whole["text"].str.len())
    pd.testing.assert_frame_equal(read_lengths(paths).astype(object), lengths.astype(object))
    assert {"wrong_language", "truncated"} <= set(faults["flag"])
