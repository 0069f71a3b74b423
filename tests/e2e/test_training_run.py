"""OpenRLHF trains a tiny Llama on a CPU: an uninterrupted run, a killed run, and an adapter."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from polypref.config.training import Training
from polypref.files.schemas import DATASET
from polypref.files.table_writer import write_table
from polypref.requests.checkpoints import content_revision, tokenizer_files
from polypref.training import log as training_log
from polypref.training import training

pytestmark = pytest.mark.e2e
pytest.importorskip("openrlhf")

WORDS = [f"w{number}" for number in range(80)]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %} [USER] {{ m['content'] }} [ASSISTANT] "
    "{% else %}{{ m['content'] }} {{ eos_token }}{% endif %}{% endfor %}"
)
ROWS, BATCH, EPOCHS = 52, 8, 2
STEPS = ROWS // BATCH * EPOCHS


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> dict[str, str]:
    """A Llama of about 50,000 random weights, with a tokenizer of whole words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("base")
    special = ["<unk>", "<s>", "</s>", "<pad>", "[USER]", "[ASSISTANT]"]
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(special + WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(special) + len(WORDS), hidden_size=48, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=3,
    )  # fmt: skip
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    return {"path": str(folder), "revision": content_revision(folder)}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """Pairs that can be learned: chosen responses have even words, rejected ones odd words. Two pairs are too long."""
    rng = random.Random(0)
    rows = []
    for number in range(ROWS + 2):
        sides = [[word for word in WORDS if int(word[1:]) % 2 == rest] for rest in (0, 1)]
        prompt = " ".join(rng.choices(WORDS, k=6 if number < ROWS else 60))
        chosen, rejected = (" ".join(rng.choices(side, k=8)) for side in sides)
        prompt_messages = [{"role": "user", "content": prompt}]
        messages = {name: [*prompt_messages, {"role": "assistant", "content": text}]
                for name, text in (("chosen_messages", chosen), ("rejected_messages", rejected))}  # fmt: skip
        row = {"item_id": f"id{number:03d}", "language": "en", "prompt_messages": prompt_messages, **messages}
        rows.append(dict.fromkeys(DATASET.names, "") | row)
    path = tmp_path_factory.mktemp("data") / "A.parquet"
    write_table(path, rows, DATASET)
    return path


def settings(**changes) -> Training:
    return Training(
        base="tiny", learning_rate=2e-3, batch_size=BATCH, micro_batch_size=4, epochs=EPOCHS, max_length=32, seed=7,
        gradient_checkpointing=False, runtime={"launcher": "cpu", "gpus": 0, "save_steps": 2}, **changes,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(base, dataset, tmp_path_factory) -> Path:
    """An uninterrupted training."""
    return training.train(settings(), dataset, base, tmp_path_factory.mktemp("trained"))


def test_a_training_writes_model_log_and_policy(trained, base):
    policy, log = json.loads((trained / "policy.json").read_text()), pd.read_csv(trained / "log.csv")
    rows = ROWS // BATCH * BATCH
    assert (policy["rows"], policy["rows_given"], policy["steps"]) == (rows, ROWS + 2, STEPS)
    assert policy["revision"] == content_revision(trained / "model") != base["revision"]
    assert pd.read_csv(trained / "overlong.csv")["fate"].value_counts().to_dict() == {
        "remainder": ROWS - rows, "dropped": 2,
    }  # fmt: skip
    assert log.columns.tolist() == training_log.LOG_COLUMNS and log["step"].tolist() == list(range(1, STEPS + 1))
    assert log.notna().all(axis=None) and log["epoch"].tolist() == [1] * (STEPS // 2) + [2] * (STEPS // 2)
    assert log["loss"].iloc[0] == pytest.approx(0.693) and log["loss"].iloc[-1] < 0.6
    assert log["margin"].iloc[-1] > 0.2 and log["accuracy"].iloc[-1] > 0.8
    assert not (trained / "checkpoints").exists() and not (trained / "cache").exists()


def test_tensorboard_shows_the_curves(trained, tmp_path):
    training.publish(trained, *(tmp_path / "A" / name for name in ("policy.json", "log.csv", "overlong.csv")))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "A" / "tensorboard")).Reload()
    shown = pd.DataFrame([(event.step, event.value) for event in events.Scalars("train/loss_mean")])
    log = pd.read_csv(trained / "log.csv")
    assert shown[0].tolist() == log["step"].tolist()
    assert shown[1].tolist() == pytest.approx(log["loss"].tolist(), abs=2e-3)


def test_the_model_loads_and_prefers_chosen_words(trained, base):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = (kind.from_pretrained(trained / "model") for kind in (AutoModelForCausalLM, AutoTokenizer))
    for original in tokenizer_files(Path(base["path"])):
        assert (trained / "model" / original.name).read_bytes() == original.read_bytes()
    inputs = tokenizer.apply_chat_template(
        [{"role": "user", "content": "w1 w2"}], return_tensors="pt", return_dict=True, add_generation_prompt=True
    )
    logits = model(**inputs).logits[0, -1].float()
    chances = torch.softmax(logits, -1)
    even, odd = (chances[tokenizer.convert_tokens_to_ids(WORDS[rest::2])].sum() for rest in (0, 1))
    assert even > odd and model.config.use_cache


def test_a_finished_training_is_reused_within_seconds(trained, base, dataset):
    modified, start = (trained / "policy.json").stat().st_mtime_ns, time.monotonic()
    messages = []
    assert training.train(settings(), dataset, base, trained.parents[1], say=messages.append) == trained
    assert messages == [f"found trained: {trained}"] and time.monotonic() - start < 5
    assert (trained / "policy.json").stat().st_mtime_ns == modified


def test_a_killed_training_resumes_and_gives_the_same_model(trained, base, dataset, tmp_path):
    code = (
        "import json, sys; from pathlib import Path;"
        "from polypref.training import training; from polypref.config.training import Training;"
        "settings, data, base, results = sys.argv[1:];"
        "training.train(Training(**json.loads(settings)), Path(data), json.loads(base), Path(results))"
    )
    scripts = Path(training.__file__).parents[2]
    victim = subprocess.Popen(
        [sys.executable, "-c", code, settings().model_dump_json(), str(dataset), json.dumps(base), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(scripts)}, start_new_session=True,
    )  # fmt: skip
    latest = tmp_path / "trained" / trained.name / "checkpoints" / "latest"
    while not latest.is_file() and victim.poll() is None:
        time.sleep(0.01)
    os.killpg(victim.pid, signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    assert not training.is_finished(tmp_path / "trained" / trained.name)

    folder = training.train(settings(), dataset, base, tmp_path)
    attempts = sorted((folder / "attempts").glob("*.log"))
    assert len(attempts) == 2 and training_log.resumed_samples(attempts[1].read_text()) >= 2 * BATCH
    pd.testing.assert_frame_equal(pd.read_csv(folder / "log.csv"), pd.read_csv(trained / "log.csv"))
    assert (folder / "policy.json").read_bytes() == (trained / "policy.json").read_bytes()


def test_an_adapter_is_merged_into_its_base(base, dataset, tmp_path):
    from safetensors import safe_open

    folder = training.train(settings(lora={"rank": 4, "alpha": 8}), dataset, base, tmp_path)
    assert json.loads((folder / "policy.json").read_text())["revision"] != base["revision"]
    names = []
    for path in (Path(base["path"]), folder / "model"):
        with safe_open(path / "model.safetensors", "pt") as weights:
            names.append((set(weights.keys()), weights.get_tensor("model.layers.0.self_attn.q_proj.weight")))
    assert names[0][0] == names[1][0] and not names[0][1].equal(names[1][1])
    assert not list((folder / "model").glob("adapter*"))


def test_held_out_pairs_and_the_options_of_the_loss(base, dataset, tmp_path, monkeypatch):
    """Loss and accuracy on items that the trainer does not see; curves for Weights & Biases, without its key."""
    secret = "0123456789" * 4
    monkeypatch.setenv("WANDB_API_KEY", secret)
    monkeypatch.setenv("WANDB_MODE", "offline")
    changes = {"held_out": 0.2, "loss": "ipo", "nll_coefficient": 0.05, "weight_decay": 0.01, "adam_betas": [0.9, 0.99]}
    folder = training.train(settings(**changes), dataset, base, tmp_path)
    seen, unseen = (set(pd.read_parquet(folder / name)["item_id"]) for name in ("data.parquet", "held_out.parquet"))
    policy, log = json.loads((folder / "policy.json").read_text()), pd.read_csv(folder / "log.csv")
    assert not seen & unseen and policy["rows_held_out"] == len(unseen) > 0
    assert policy["settings"].items() >= changes.items()
    assert log.columns.tolist() == [*training_log.LOG_COLUMNS, *training_log.HELD_OUT]
    measured = log.dropna(subset="held_out_loss")
    assert measured["step"].iloc[-1] == policy["steps"] and 5 <= len(measured) <= 10
    assert measured["held_out_loss"].iloc[-1] < measured["held_out_loss"].iloc[0]
    assert measured["held_out_accuracy"].iloc[-1] > 0.8, "the rule of the pairs holds for new pairs"
    assert list(folder.glob("wandb/offline-run-*"))
    files = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size < 1e8]
    assert not [path for path in files if secret.encode() in path.read_bytes()]
