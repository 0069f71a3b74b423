"""Training without running the trainer: digests, checkpoints, failures and finished trainings."""

import json
import os
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from word_tokenizer import LENGTHS, settings, word_tokenizer

from polypref.files import tables
from polypref.files.digests import digest
from polypref.files.schemas import DATASET
from polypref.files.table_writer import write_table
from polypref.training import selection, trainer, trainer_data, training
from polypref.training.identity import held_out_pairs, outcome_settings, training_digest
from polypref.training.trainer import TrainingError
from polypref.training.trainer_data import DataError, conversations

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def test_the_digest_covers_everything_that_training_reads(pairs):
    base = {"path": "org/model", "revision": "abc"}
    first = training_digest([pairs], base, settings())
    same = [
        training_digest([pairs.assign(item_id="x", language="ja")], base, settings()),
        training_digest([pairs], base, settings(micro_batch_size=2, zero_stage=1, adam_offload=True)),
        training_digest([pairs], base, settings(runtime={"gpus": 4, "nodes": 2, "save_steps": 7})),
    ]
    other = [
        training_digest([pairs[::-1]], base, settings()),
        training_digest([pairs[:-1]], base, settings()),
        training_digest([pairs], base | {"revision": "abd"}, settings()),
        training_digest([pairs], base, settings(beta=0.2)),
        training_digest([pairs], base, settings(lora={"rank": 8})),
        training_digest([pairs], base, settings(attn_implementation="eager")),
    ]
    assert set(same) == {first} and len({first, *other}) == 7


@pytest.mark.parametrize("held_out", [0, 0.3])
def test_the_digest_does_not_depend_on_the_batches(pairs, held_out):
    base, given = {"path": "org/model", "revision": "abc"}, settings(held_out=held_out)
    split = [held_out_pairs(pairs["item_id"], given).tolist()] if held_out else []
    whole = digest("training", "org/model@abc", outcome_settings(given), conversations(pairs), *split)
    for batches in (
        [pairs],
        [pairs[:0], pairs[:2], pairs[:0], pairs[2:]],
        [pairs[n : n + 1] for n in range(len(pairs))],
    ):
        assert training_digest(batches, base, given) == whole


def test_the_rows_of_several_batches_are_read_as_one_table(pairs, tmp_path, monkeypatch):
    tokenizer, file = word_tokenizer(), tmp_path / "data.parquet"
    write_table(file, pairs.to_dict("records"), DATASET)
    lengths, left = tmp_path / "lengths.parquet", tmp_path / "overlong.csv"

    def chosen():
        measured = trainer_data.measure_data_set(file, tokenizer, 20)
        checked = selection.write_lengths(measured, lengths, lambda items: items.eq("id001").to_numpy(bool))
        fates = selection.choose_rows(checked.fates, "cut", 2, 1, checked.held_out)
        selection.write_left_out(lengths, fates, left)
        with pytest.raises(DataError) as error:
            name = partial(selection.name_chosen, lengths)
            selection.choose_rows(checked.fates, "error", 2, 1, name=name)
        return checked.fates.tolist(), checked.changed, fates, left.read_text(), str(error.value)

    whole = chosen()
    given, merged, fates, text, error = whole
    assert merged == 0 and given == list(LENGTHS.values())
    expected = trainer_data.check_lengths(pairs, tokenizer, 20).assign(fate=fates)
    assert text == expected[fates.ne("kept")].to_csv(index=False, lineterminator="\n")
    assert "item id002 (de), id003 (de), id005 (de), id006 (de). Raise it" in error
    monkeypatch.setattr(tables, "BATCH", 2)
    again = chosen()
    assert again[2].equals(fates) and [*again[:2], *again[3:]] == [*whole[:2], *whole[3:]]
    trained = selection.is_trained(fates).to_numpy(bool)
    kept = pa.concat_tables(trainer_data.select_pairs(file, tokenizer, trained)).to_pandas()
    assert kept["item_id"].tolist() == pairs["item_id"][trained].tolist() and 0 < len(kept) < len(pairs)


def test_many_pairs_that_do_not_fit_are_named_in_part(pairs, tmp_path, monkeypatch):
    file, codes = tmp_path / "data.parquet", [f"l{number}" for number in range(300)]
    rows = [pairs.iloc[0].to_dict() | {"language": code} for code in codes]
    write_table(file, rows, DATASET)
    monkeypatch.setattr(tables, "BATCH", 10)
    measured = trainer_data.measure_data_set(file, word_tokenizer(), 20)
    selection.write_lengths(measured, tmp_path / "lengths.parquet")

    def name(*positions):
        return selection.name_chosen(tmp_path / "lengths.parquet", np.isin(np.arange(300), positions))

    several = "id000 (l9), id000 (l10), id000 (l31), id000 (l39), id000 (l250)"
    assert name(9, 10, 31, 39, 250) == several and name(9, 10, 31, 39, 250, 299) == f"{several} and 1 more"
    assert name(299) == "id000 (l299)" and name(*range(6)).startswith("id000 (l0), id000 (l1)")


def test_options_that_are_not_set_do_not_change_the_digest(pairs):
    base = {"path": "org/model", "revision": "abc"}
    first = training_digest([pairs], base, settings())
    assert first == "3c7ead53da5ea867", "a new option must not make the trainings of earlier versions stale"
    changes = [
        {"loss": "ipo"}, {"label_smoothing": 0.1}, {"nll_coefficient": 0.2}, {"weight_decay": 0.1},
        {"adam_betas": [0.9, 0.999]}, {"liger_kernel": True}, {"held_out": 0.3}, {"held_out": 0.3, "held_out_seed": 2},
    ]  # fmt: skip
    assert len({first, *(training_digest([pairs], base, settings(**change)) for change in changes)}) == 9
    assert training_digest([pairs], base, settings(held_out_seed=2)) == first


def test_only_the_last_complete_checkpoint_is_left(tmp_path):
    layout = {"processes": 8, "zero_stage": 3}
    training.keep_last_checkpoint(tmp_path, layout)
    for tag in ("global_step10", "global_step20", "global_step30"):
        (tmp_path / "checkpoints" / tag).mkdir(parents=True)
    (tmp_path / "checkpoints" / "latest").write_text("global_step20")
    training.keep_last_checkpoint(tmp_path, layout)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["global_step20", "latest"]
    training.keep_last_checkpoint(tmp_path, layout | {"processes": 4})
    assert not (tmp_path / "checkpoints").exists()
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "latest").write_text("global_step20")
    training.keep_last_checkpoint(tmp_path, layout | {"processes": 4})
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize(
    ("output", "remedy"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate", "training.micro_batch_size to 1"),
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("ModuleNotFoundError: No module named 'flash_attn'", "tools/setup.sh gpu --flash-attn"),
    ],
)
def test_a_failure_names_remedy_and_log(tmp_path, output, remedy):
    code = [sys.executable, "-c", f"print('working'); raise SystemExit({output!r})"]
    with pytest.raises(TrainingError) as error:
        trainer.run(code, tmp_path, tmp_path / "0.log", lambda _: None)
    assert remedy in str(error.value) and str(tmp_path / "0.log") in str(error.value)
    assert "exit code 1" in str(error.value) and "working" in str(error.value)


def test_code_of_a_base_model_is_not_run(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"auto_map": {"AutoModelForCausalLM": "x.Y"}}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(TrainingError, match="auto_map"):
        training.local_base({"path": str(tmp_path), "revision": ""})


def finished(results: Path, dataset: Path, base: dict) -> Path:
    folder = results / "trained" / training_digest(trainer_data.read_pairs(dataset), base, settings())
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "config.json").write_text("{}")
    (folder / "model" / "model.safetensors").write_bytes(b"")
    (folder / "policy.json").write_text(json.dumps({"revision": "r"}))
    (folder / "log.csv").write_text("step\n1\n")
    (folder / "overlong.csv").write_text("item_id\n")
    return folder


def test_a_finished_training_is_reused(pairs, tmp_path, monkeypatch):
    whole = pairs.reindex(columns=DATASET.names).astype(object).where(lambda table: table.notna(), None)
    write_table(tmp_path / "A.parquet", whole.to_dict("records"), DATASET)
    base = {"path": "org/model", "revision": "abc"}
    made = finished(tmp_path, tmp_path / "A.parquet", base)
    monkeypatch.setattr(training.trainer, "run", lambda *_: pytest.fail("trained again"))
    folder = training.train(settings(), tmp_path / "A.parquet", base, tmp_path)
    assert folder == made
    outputs = [tmp_path / "policies" / "A" / name for name in ("policy.json", "log.csv", "overlong.csv")]
    training.publish(folder, *outputs)
    assert json.loads(outputs[0].read_text()) == {"path": (folder / "model").as_posix(), "revision": "r"}
    assert outputs[1].read_text() == "step\n1\n"
