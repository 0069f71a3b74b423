"""Training data: which rows OpenRLHF would drop or truncate, and pairs compared as they are rendered."""

import os
from collections import Counter
from types import SimpleNamespace

import pandas as pd
import pytest
from word_tokenizer import LENGTHS, TEMPLATE, pair, word_tokenizer

from polypref.training import selection, trainer_data
from polypref.training.trainer_data import DataError

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def tokenizer():
    return word_tokenizer()


def test_fates_at_the_maximum_length(pairs, tokenizer):
    lengths = trainer_data.check_lengths(pairs, tokenizer, 20)
    assert lengths["fate"].tolist() == list(LENGTHS.values())
    assert lengths.loc[0, ["prompt_tokens", "chosen_tokens", "rejected_tokens"]].tolist() == [8, 14, 14]


@pytest.mark.parametrize("max_length", [8, 11, 14, 20, 60])
def test_openrlhf_handles_rows_as_predicted(pairs, tokenizer, max_length, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    datasets = pytest.importorskip("datasets")
    openrlhf = pytest.importorskip("openrlhf.datasets.reward_dataset")
    keys = SimpleNamespace(chosen_key="chosen_messages", rejected_key="rejected_messages", apply_chat_template=True)
    given = datasets.Dataset.from_list(pairs.to_dict("records"))
    real = openrlhf.RewardDataset(
        given, tokenizer, max_length, SimpleNamespace(args=SimpleNamespace(data=keys)), is_dpo=True, num_processors=None
    )
    foretold = trainer_data.check_lengths(pairs, tokenizer, max_length)
    kept = foretold[foretold["fate"] != "dropped"]
    assert len(real) == len(kept)
    for place, row in enumerate(kept.itertuples()):
        chosen, _, rejected, _, prompt_length = real[place]
        assert prompt_length == row.prompt_tokens
        assert chosen.shape[1] == min(row.chosen_tokens, max_length)
        assert rejected.shape[1] == min(row.rejected_tokens, max_length)


def test_chosen_and_rejected_must_share_their_prompt(pairs, tokenizer):
    pairs.at[2, "rejected_messages"] = pair(2, 6, 1, 1)["rejected_messages"]
    with pytest.raises(DataError, match=r"different prompts: item id002 \(de\)"):
        trainer_data.check_lengths(pairs, tokenizer, 20)


def test_a_template_that_rewrites_the_prompt_is_an_error(pairs, tokenizer, monkeypatch):
    monkeypatch.setattr(tokenizer, "chat_template", "{{ messages | length }}" + TEMPLATE)
    with pytest.raises(DataError, match=r"item id000 \(de\), .* does not begin with its own prompt"):
        trainer_data.check_lengths(pairs, tokenizer, 20)


STRIPPING = TEMPLATE.replace("[ASSISTANT] {{ m['content'] }}", "[ASSISTANT] {{ m['content'].split('</think>')[-1] }}")


def test_pairs_are_compared_as_they_are_rendered(pairs, tokenizer, monkeypatch):
    def answer(number: int, side: str, text: str) -> None:
        pairs.at[number, f"{side}_messages"] = [
            pairs.at[number, f"{side}_messages"][0],
            {"role": "assistant", "content": text},
        ]

    answer(0, "chosen", "w1 w2 </think> w3"), answer(0, "rejected", "w4 </think> w3")
    answer(1, "rejected", "w1 </think> ")
    answer(4, "chosen", "w1\u200b w2"), answer(4, "rejected", "w1 w2")
    assert trainer_data.check_lengths(pairs, tokenizer, 20)["fate"].tolist()[:2] == ["kept", "kept"]
    monkeypatch.setattr(tokenizer, "chat_template", STRIPPING)
    fates = trainer_data.check_lengths(pairs, tokenizer, 20)
    assert fates["fate"].tolist() == ["equal", "empty", "dropped", "dropped", "equal", "cut", "cut"]
    chosen = selection.choose_rows(fates["fate"], "cut", 2, seed=1)
    assert selection.is_trained(chosen).tolist() == [False] * 5 + [True] * 2
    with pytest.raises(DataError, match=r"0 of 7 pairs are left to train on \(2 where chosen equals rejected"):
        selection.choose_rows(fates["fate"], "drop", 2, seed=1)


def test_a_template_that_writes_the_date_is_an_error(pairs, tokenizer, monkeypatch):
    monkeypatch.setattr(tokenizer, "chat_template", "{{ strftime_now('%d') }}" + TEMPLATE)
    with pytest.raises(DataError, match="writes today's date"):
        trainer_data.check_lengths(pairs, tokenizer, 20)


def test_rows_left_to_train_on(pairs, tokenizer):
    lengths = trainer_data.check_lengths(pairs, tokenizer, 20)
    dropped = selection.choose_rows(lengths["fate"], "drop", 2, seed=1)
    assert Counter(dropped) == {"dropped": 4, "kept": 2, "remainder": 1}
    assert selection.is_trained(dropped).sum() == 2
    cut = selection.choose_rows(lengths["fate"], "cut", 5, seed=1)
    assert Counter(cut) == {"kept": 3, "dropped": 2, "cut": 2}
    assert selection.is_trained(cut).sum() == 5
    with pytest.raises(DataError, match=r"4 of 7 pairs do not fit training\.max_length: item \[2 3 5 6\]\."):
        selection.choose_rows(lengths["fate"], "error", 2, seed=1)


def test_a_data_set_without_rows_is_an_error(pairs, tokenizer):
    lengths = trainer_data.check_lengths(pairs, tokenizer, 5)
    with pytest.raises(DataError, match="0 of 7 pairs are left"):
        selection.choose_rows(lengths["fate"], "drop", 2, seed=1)
    with pytest.raises(DataError, match="0 of 0 pairs are left"):
        selection.choose_rows(trainer_data.check_lengths(pairs[:0], tokenizer, 5)["fate"], "drop", 2, seed=1)


def test_held_out_items_are_the_same_in_every_language_and_data_set(pairs, tokenizer):
    items = [f"item{number}" for number in range(2000)]
    out = selection.hold_out(items, 0.05, seed=1)
    assert 0.04 < out.mean() < 0.06
    assert (selection.hold_out(items[::-1], 0.05, seed=1)[::-1] == out).all(), "in any order"
    assert (selection.hold_out(items, 0.2, seed=1) >= out).all(), "a larger share contains the items of a smaller one"
    assert (selection.hold_out(items, 0.05, seed=2) != out).any()
    twice = pd.concat([pairs, pairs.assign(language="ja")], ignore_index=True)
    lengths = trainer_data.check_lengths(twice, tokenizer, 20)
    fates = selection.choose_rows(lengths["fate"], "drop", 2, 1, selection.hold_out(twice["item_id"], 0.6, seed=2))
    rows = lengths.assign(fate=fates)
    sides = rows[rows["fate"].isin(["kept", "held_out", "remainder"])].assign(out=rows["fate"].eq("held_out"))
    assert sides.groupby("item_id")["out"].nunique().eq(1).all() and sides["out"].nunique() == 2
    assert not selection.is_trained(fates)[fates.eq("held_out")].any()
    with pytest.raises(trainer_data.DataError, match=r"training\.held_out"):
        selection.choose_rows(lengths["fate"], "drop", 2, 1, selection.hold_out(twice["item_id"], 1e-9, seed=2))


@pytest.mark.parametrize(("steps", "every"), [(1, 1), (4, 1), (10, 1), (13, 2), (87, 17), (100, 10)])
def test_steps_between_evaluations(steps, every):
    assert selection.steps_between_evaluations(steps) == every
