"""The folder of a data set is as TRL's DPOTrainer, axolotl and LLaMA-Factory read it, and is described in Croissant."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from polypref.datasets.cards import card
from polypref.datasets.croissant import croissant
from polypref.datasets.exports import CONVERSATIONS, conversations, file_of, split_of, write_exports
from polypref.files.schemas import DATASET
from polypref.files.table_writer import write_table
from polypref.files.tables import read_rows

ROOT = Path(__file__).parents[2]
MADE = {"prompt": {"translate": "m"}, "chosen": "english", "rejected": {"generate": "g"}}


def turn(role: str, content: str) -> dict:
    return {"role": role, "content": content}


def row(number: int, language: str) -> dict:
    """Return a row in DATASET; every fourth prompt has a system message and several turns."""
    prompt = [turn("user", f"is it day {number}?")]
    if number % 4 == 3:
        prompt = [turn("system", "be brief"), turn("user", "hello"), turn("assistant", "hi"), *prompt]
    chosen, rejected = f"it is day {number}", "no"
    return {
        "item_id": f"{number:016x}", "language": language, "source": "s", "task": "t", "prompt": prompt[-1]["content"],
        "chosen": chosen, "rejected": rejected, "prompt_messages": prompt,
        "chosen_messages": [*prompt, turn("assistant", chosen)],
        "rejected_messages": [*prompt, turn("assistant", rejected)],
        "prompt_provenance": "{}", "chosen_provenance": "{}", "rejected_provenance": "{}",
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The folder of a data set with 40 items in two languages, a fifth of them in the test split."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    rows = [row(number, language) for language in ("en", "de") for number in range(40)]
    write_table(tmp_path / "A.parquet", rows, DATASET)
    write_exports(tmp_path / "A.parquet", tmp_path / "A", 0.2)
    languages = {"en": "English", "de": "German"}
    text = card("A", "Title", MADE, languages, {"s": "mit"}, rows, [], test_share=0.2)
    (tmp_path / "A/README.md").write_text(text, encoding="utf-8")
    described = croissant(tmp_path / "A", "A", "Title", "mit", sorted(languages), 0.2)
    (tmp_path / "A/croissant.json").write_text(json.dumps(described), encoding="utf-8")
    return tmp_path / "A"


def load(folder: Path, config: str, split: str):
    import datasets

    return datasets.load_dataset(str(folder), config, split=split, cache_dir=str(folder.parent / "cache"))


def test_items_are_in_one_split_in_every_language(folder):
    parts = {split: read_rows(folder / file_of("default", split), DATASET) for split in ("train", "test")}
    ids = {split: [r["item_id"] for r in rows] for split, rows in parts.items()}
    assert not set(ids["train"]) & set(ids["test"]) and 0 < len(set(ids["test"])) < 20
    assert all(ids[split].count(item) == 2 for split in ids for item in ids[split])
    assert len(ids["train"]) + len(ids["test"]) == 80
    for split in ids:
        chats = read_rows(folder / file_of("conversations", split), CONVERSATIONS)
        assert [chat["item_id"] for chat in chats] == ids[split]


@pytest.mark.parametrize(("start", "count"), [(0, 8), (3, 1), (2, 5), (0, 0)])
def test_answers_are_the_messages_after_the_prompt(start, count):
    rows = [row(number, "en") for number in range(8)]
    table = pa.Table.from_pylist(rows, DATASET).slice(start, count)
    for chat, own in zip(conversations(table).to_pylist(), rows[start : start + count], strict=True):
        asked = own["prompt_messages"]
        assert chat["prompt"] == asked
        for name in ("chosen", "rejected"):
            assert asked + chat[name] == own[f"{name}_messages"] and chat[name] == [turn("assistant", own[name])]


def test_a_larger_test_split_contains_every_smaller_one():
    items = [f"{n:x}" for n in range(1000)]
    small, large = ({i for i in items if split_of(i, share) == "test"} for share in (0.05, 0.1))
    assert small < large and 60 < len(large) < 140
    assert not any(split_of(i, 0) == "test" for i in items)


def test_without_a_test_split_the_texts_are_a_copy_and_old_splits_are_removed(folder):
    write_exports(folder.parent / "A.parquet", folder, 0)
    assert (folder / "train.parquet").read_bytes() == (folder.parent / "A.parquet").read_bytes()
    found = {str(file.relative_to(folder)) for file in folder.rglob("*.parquet")}
    assert found == {"train.parquet", "conversations/train.parquet"}


def test_both_configurations_and_splits_load_by_the_card(folder):
    texts, chats = load(folder, "default", "train"), load(folder, "conversations", "test")
    assert texts.column_names == DATASET.names and chats.column_names == CONVERSATIONS.names
    assert {part["role"] for part in chats[0]["prompt"]} <= {"system", "user", "assistant"}
    assert [part["role"] for part in chats[0]["chosen"]] == ["assistant"]


@pytest.mark.parametrize("config", ["conversations", "default"])
def test_trl_trains_on_it_unchanged(folder, config, tmp_path):
    """DPOTrainer's own preprocessing renders the prompt with the template, followed by each answer."""
    trl = pytest.importorskip("trl")
    transformers = pytest.importorskip("transformers")
    path = str(ROOT / "resources/demo/models/base")
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    args = trl.DPOConfig(
        output_dir=str(tmp_path / "out"), max_steps=1, per_device_train_batch_size=4, use_cpu=True, bf16=False,
        report_to="none", save_strategy="no", gradient_checkpointing=False, disable_tqdm=True,
    )  # fmt: skip
    train = load(folder, config, "train").filter(lambda row: int(row["item_id"], 16) % 4 != 3)
    trainer = trl.DPOTrainer(
        model=transformers.AutoModelForCausalLM.from_pretrained(path),
        args=args, train_dataset=train, processing_class=tokenizer,
    )  # fmt: skip
    first = trainer.train_dataset[0]
    if config == "conversations":
        rendered = tokenizer.apply_chat_template(train[0]["prompt"], add_generation_prompt=True, tokenize=False)
        assert tokenizer.decode(first["prompt_ids"]) == tokenizer.decode(
            tokenizer(rendered, add_special_tokens=False)["input_ids"]
        )
    assert first["chosen_ids"] != first["rejected_ids"] and first["prompt_ids"]
    assert trainer.train().training_loss > 0


def test_axolotl_finds_its_documented_fields(folder):
    """chat_template.default: a list of messages, and the last message of chosen and rejected (docs/exports.md)."""
    for chat in load(folder, "conversations", "train"):
        assert chat["prompt"][-1]["role"] == "user"
        assert chat["chosen"][-1]["role"] == chat["rejected"][-1]["role"] == "assistant"
    for row in load(folder, "default", "train"):
        assert row["chosen_messages"][:-1] == row["rejected_messages"][:-1] == row["prompt_messages"]


def test_llama_factory_finds_its_documented_columns(folder):
    """Alpaca format with ranking: texts in the columns that dataset_info.json names (docs/exports.md)."""
    for row in load(folder, "default", "train"):
        assert all(isinstance(row[name], str) and row[name] for name in ("prompt", "chosen", "rejected"))


def test_croissant_names_every_file_with_its_checksum_and_every_column(folder):
    described = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    assert described["conformsTo"] == "http://mlcommons.org/croissant/1.0" and described["inLanguage"] == ["de", "en"]
    files = {file["contentUrl"]: file for file in described["distribution"]}
    assert set(files) == {str(file.relative_to(folder)) for file in folder.rglob("*.parquet")}
    import hashlib

    assert all(
        hashlib.sha256((folder / name).read_bytes()).hexdigest() == file["sha256"] for name, file in files.items()
    )
    columns = {
        record["name"]: [field["name"].split("/")[1] for field in record["field"]] for record in described["recordSet"]
    }
    assert columns["default-train"] == DATASET.names and columns["conversations-test"] == CONVERSATIONS.names


def test_mlcroissant_reads_the_records(folder):
    """Not in the lock: ``uv pip install mlcroissant`` to run it."""
    mlcroissant = pytest.importorskip("mlcroissant")
    dataset = mlcroissant.Dataset(str(folder / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    records = list(dataset.records("default-test"))
    assert records[0]["default-test/prompt"].decode().startswith("is it day")
    assert len(records) == len(read_rows(folder / "test.parquet", DATASET))
