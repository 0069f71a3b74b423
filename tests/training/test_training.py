"""Training without running the trainer: digests, rows, command lines, logs, checkpoints and plots."""

import itertools
import json
import os
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from polypref.config.sections import Training
from polypref.files.schemas import DATASET
from polypref.files.tables import write_table
from polypref.requests.checkpoints import CheckpointError, content_revision
from polypref.training import log as training_log
from polypref.training import trainer, trainer_data, training
from polypref.training.trainer import TrainingError
from polypref.training.trainer_data import DataError

os.environ.setdefault("HF_HUB_OFFLINE", "1")

WORDS = [f"w{number}" for number in range(50)]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %} [USER] {{ m['content'] }}"
    "{% else %} [ASSISTANT] {{ m['content'] }} {{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %} [ASSISTANT]{% endif %}"
)
PATHS = {"model": "/m", "data": "data.parquet", "output": "out", "checkpoints": "checkpoints"}


def words(number: int, first: int = 0) -> str:
    return " ".join(WORDS[(first + i) % len(WORDS)] for i in range(number))


def pair(number: int, prompt: int, chosen: int, rejected: int) -> dict:
    asked = [{"role": "user", "content": words(prompt)}]
    answers = [
        [*asked, {"role": "assistant", "content": words(length, first)}]
        for first, length in ((0, chosen), (1, rejected))
    ]
    return {
        "item_id": f"id{number:03d}", "language": "de", "chosen_messages": answers[0], "rejected_messages": answers[1],
    }  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<unk>", "<s>", "</s>", "[USER]", "[ASSISTANT]"]
    whole = Tokenizer(models.WordLevel({word: i for i, word in enumerate(special + WORDS)}, unk_token="<unk>"))
    whole.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made = PreTrainedTokenizerFast(tokenizer_object=whole, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
    made.chat_template = TEMPLATE
    return made


def settings(**changes) -> Training:
    changes = {"runtime": {"launcher": "cpu", "gpus": 0}} | changes
    return Training(**{"base": "tiny", "batch_size": 4, "max_length": 20} | changes)


# Prompts have three tokens more than words, whole conversations one more than that. Length 20: a prompt of 18 tokens
# leaves no room, a conversation of 21 is cut.
LENGTHS = {
    (5, 5, 5): "kept", (14, 1, 1): "kept", (15, 1, 1): "dropped", (40, 1, 1): "dropped",
    (8, 8, 8): "kept", (8, 9, 3): "cut", (8, 3, 9): "cut",
}  # fmt: skip


@pytest.fixture
def pairs() -> pd.DataFrame:
    return pd.DataFrame([pair(number, *lengths) for number, lengths in enumerate(LENGTHS)])


def test_fates_at_the_edges(pairs, tokenizer):
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
    chosen = trainer_data.choose_rows(fates, "cut", 2, seed=1)
    assert chosen["trained"].tolist() == [False] * 5 + [True] * 2
    with pytest.raises(DataError, match=r"0 of 7 pairs are left to train on \(in 2, chosen equals rejected"):
        trainer_data.choose_rows(fates, "drop", 2, seed=1)


def test_a_template_that_writes_the_date_is_an_error(pairs, tokenizer, monkeypatch):
    monkeypatch.setattr(tokenizer, "chat_template", "{{ strftime_now('%d') }}" + TEMPLATE)
    with pytest.raises(DataError, match="writes today's date"):
        trainer_data.check_lengths(pairs, tokenizer, 20)


def test_rows_left_to_train_on(pairs, tokenizer):
    lengths = trainer_data.check_lengths(pairs, tokenizer, 20)
    dropped = trainer_data.choose_rows(lengths, "drop", 2, seed=1)
    assert dropped["fate"].value_counts().to_dict() == {"dropped": 4, "kept": 2, "remainder": 1}
    assert dropped["trained"].sum() == 2
    cut = trainer_data.choose_rows(lengths, "cut", 5, seed=1)
    assert cut["fate"].value_counts().to_dict() == {"kept": 3, "dropped": 2, "cut": 2}
    assert cut["trained"].sum() == 5
    with pytest.raises(DataError, match="4 of 7 pairs do not fit"):
        trainer_data.choose_rows(lengths, "error", 2, seed=1)


def test_a_data_set_without_rows_is_an_error(pairs, tokenizer):
    lengths = trainer_data.check_lengths(pairs, tokenizer, 5)
    with pytest.raises(DataError, match="0 of 7 pairs are left"):
        trainer_data.choose_rows(lengths, "drop", 2, seed=1)
    with pytest.raises(DataError, match="0 of 0 pairs are left"):
        trainer_data.choose_rows(trainer_data.check_lengths(pairs[:0], tokenizer, 5), "drop", 2, seed=1)


def test_the_digest_covers_everything_that_training_reads(pairs):
    base = {"path": "org/model", "revision": "abc"}
    first = training.training_digest(pairs, base, settings())
    same = [
        training.training_digest(pairs.assign(item_id="x", language="ja"), base, settings()),
        training.training_digest(pairs, base, settings(micro_batch_size=2, zero_stage=1, adam_offload=True)),
        training.training_digest(pairs, base, settings(runtime={"gpus": 4, "nodes": 2, "save_steps": 7})),
    ]
    other = [
        training.training_digest(pairs[::-1], base, settings()),
        training.training_digest(pairs[:-1], base, settings()),
        training.training_digest(pairs, base | {"revision": "abd"}, settings()),
        training.training_digest(pairs, base, settings(beta=0.2)),
        training.training_digest(pairs, base, settings(lora={"rank": 8})),
        training.training_digest(pairs, base, settings(attn_implementation="eager")),
    ]
    assert set(same) == {first} and len({first, *other}) == 7


def flags(arguments: list[str]) -> dict[str, str]:
    return {name: value for name, value in itertools.pairwise(arguments) if name.startswith("--")}


def test_command_of_one_node():
    ours = Training(base="aya", runtime={"gpus": 8})
    arguments = trainer.command(ours, **PATHS, port=20001)
    assert arguments[:7] == [
        sys.executable, "-m", "deepspeed.launcher.runner", "--master_port", "20001", "--num_gpus", "8",
    ]  # fmt: skip
    assert arguments[7:9] == [str(trainer.LAUNCHER), "openrlhf.cli.train_dpo"]
    shown = flags(arguments)
    paper = {
        "--adam.lr": "5e-06", "--model.beta": "0.1", "--train.batch_size": "128", "--train.micro_batch_size": "1",
        "--train.max_epochs": "1", "--data.max_len": "4096", "--ds.zero_stage": "3", "--ds.param_dtype": "bf16",
        "--ds.attn_implementation": "sdpa", "--data.chosen_key": "chosen_messages",
    }  # fmt: skip
    assert {name: shown[name] for name in paper} == paper
    assert {"--data.apply_chat_template", "--ckpt.load_enable", "--model.gradient_checkpointing_enable"} <= set(
        arguments
    )
    assert not any(name.startswith("--ds.lora") or name == "--ds.adam_offload" for name in arguments)


def test_command_uses_only_the_visible_gpus():
    ours = Training(base="aya", runtime={"gpus": 2})
    assert "--num_gpus" not in trainer.command(ours, **PATHS, visible_gpus="4,5")
    with pytest.raises(TrainingError, match="shows 3"):
        trainer.command(ours, **PATHS, visible_gpus="4,5,6")


def test_command_of_several_nodes():
    ours = Training(base="aya", adam_offload=True, runtime={"gpus": 8, "nodes": 2, "hostfile": "hosts"})
    arguments = trainer.command(ours, **PATHS, visible_gpus="0,1")
    shown = flags(arguments)
    assert (shown["--hostfile"], shown["--num_nodes"], shown["--num_gpus"]) == (str(Path("hosts").resolve()), "2", "8")
    assert "--ds.adam_offload" in arguments


def test_command_of_several_nodes_of_a_slurm_job():
    ours = Training(base="aya", runtime={"gpus": 8, "nodes": 2})
    arguments = trainer.command(ours, **PATHS, port=20001, visible_gpus="0,1,2,3,4,5,6,7", nodes=["n7", "n9"])
    step, launcher = arguments[: arguments.index(sys.executable)], arguments[arguments.index(sys.executable) :]
    assert step[0] == "srun" and {"--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--gpus-per-node=8"} <= set(step)
    assert launcher[1:3] == ["-m", "torch.distributed.run"]
    shown = flags(launcher)
    assert (shown["--nnodes"], shown["--nproc-per-node"]) == ("2", "8")
    assert shown["--rdzv-endpoint"] == f"{socket.gethostname()}:20001", "a job of several nodes starts on the first"
    assert launcher[launcher.index(str(trainer.LAUNCHER)) + 1] == "openrlhf.cli.train_dpo"
    assert shown["--train.batch_size"] == "128"
    with pytest.raises(TrainingError, match=r"this Slurm job has 0 nodes.*hostfile"):
        trainer.command(ours, **PATHS)


def test_command_on_cpu():
    arguments = trainer.command(settings(adam_offload=True, ref_offload=True), **PATHS)
    assert arguments[:4] == [sys.executable, str(trainer.LAUNCHER), "--cpu", "openrlhf.cli.train_dpo"]
    shown = flags(arguments)
    assert (shown["--ds.zero_stage"], shown["--ds.attn_implementation"]) == ("0", "sdpa")
    assert not {"--ds.adam_offload", "--ref.offload"} & set(arguments)


def test_command_with_lora():
    lora = {"rank": 8, "alpha": 32, "dropout": 0.1, "target_modules": ["q_proj", "v_proj"]}
    arguments = trainer.command(settings(lora=lora), **PATHS)
    place = arguments.index("--ds.lora.target_modules")
    assert arguments[place + 1 : place + 3] == ["q_proj", "v_proj"]
    assert (flags(arguments)["--ds.lora.rank"], flags(arguments)["--ds.lora.alpha"]) == ("8", "32")
    assert "--ds.lora.target_modules" not in trainer.command(settings(lora={"rank": 8}), **PATHS)
    merge = trainer.merge_command(settings(lora=lora), model="/m", adapter="a", output="o")
    assert merge[1:4] == [str(trainer.LAUNCHER), "--cpu", "openrlhf.cli.lora_combiner"]


def test_openrlhf_knows_every_flag():
    source = pytest.importorskip("openrlhf").__path__[0]
    known = (Path(source) / "cli" / "train_dpo.py").read_text()
    ours = Training(base="aya", adam_offload=True, ref_offload=True, lora={"target_modules": ["q_proj"]})
    arguments = trainer.command(ours, **PATHS, chat_template="{{ x }}")
    trainers = arguments[arguments.index("openrlhf.cli.train_dpo") :]
    assert not [flag for flag in trainers if flag.startswith("--") and f'"{flag}"' not in known]


def bar(place: int, total: int, loss: float, epoch: int = 0, done: str = "") -> str:
    values = f"loss={loss}, acc=0.5, chosen_reward={loss / 10:.3g}, reject_reward=-0.1, lr=1e-06, grad_norm=2"
    return (
        f"\nnode1: Train step of epoch {epoch}:  1%|## | {place}/{total} [00:00<00:01, 9.1it/s, {values}]{done}\x1b[A"
    )


def test_log_has_means_over_the_batch():
    text = "Train step of epoch 0:  0%|  | 0/4 [00:00<?, ?it/s]" + "".join(
        [
            bar(0, 4, 0.7), bar(1, 4, 0.7), bar(1, 4, 0.5),  # the bar is drawn once with old values
            bar(2, 4, 0.4), bar(3, 4, 0.2), bar(4, 4, 0.2), bar(0, 4, 0.1, epoch=1),
        ]
    )  # fmt: skip
    table = training_log.read_attempt(text, batch_size=8, micro_steps=2)
    assert table["step"].tolist() == [1, 2]
    assert table["loss"].round(6).tolist() == [0.6, 0.3]
    assert table["margin"].round(6).tolist() == [0.16, 0.13]
    assert table.columns.tolist() == training_log.LOG_COLUMNS


def test_log_of_a_killed_training(tmp_path):
    resumed = "Loaded the checkpoint: checkpoints, consumed_samples: 8"
    (tmp_path / "0.log").write_text("".join(bar(place, 4, 0.9) for place in range(3)))
    (tmp_path / "1.log").write_text(resumed + "".join(bar(place, 2, 0.3) for place in range(2)))
    paths = sorted(tmp_path.glob("*.log"))
    table = training_log.read_attempts(paths, batch_size=4, micro_steps=1, steps=5)
    assert table["step"].tolist() == [1, 2, 3, 4, 5]
    assert table["loss"].tolist()[:4] == [0.9, 0.9, 0.3, 0.3] and pd.isna(table["loss"].iloc[4])
    assert training_log.read_attempts([], 4, 1, 2)["step"].tolist() == [1, 2]


def test_a_nan_loss_is_an_error(tmp_path):
    (tmp_path / "0.log").write_text(bar(0, 2, 0.5) + bar(1, 2, float("nan")))
    table = training_log.read_attempts([tmp_path / "0.log"], batch_size=4, micro_steps=1, steps=2)
    with pytest.raises(ValueError, match="not a number from step 2"):
        training_log.require_numbers(table, tmp_path)


def test_progress_line(monkeypatch):
    said, clock = [], iter(range(0, 1000, 10))
    monkeypatch.setattr(training_log.time, "monotonic", lambda: float(next(clock)))
    read = training_log.progress(said.append, batch_size=8, micro_steps=2, steps=100)
    for place in range(4):
        read(bar(place, 200, 0.5))
    assert said[-1] == "step 2 of 100, 0.4 pairs/s, 0:32:40 left, loss 0.500"


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
    folder = results / "trained" / training.training_digest(trainer_data.read_pairs(dataset), base, settings())
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


def checkpoint(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "tokenizer.json").write_text("{}")
    return folder


def test_content_revision_depends_only_on_content(tmp_path):
    first, second = checkpoint(tmp_path / "a"), checkpoint(tmp_path / "b")
    (second / "README.md").write_text("not part of it")
    assert content_revision(first) == content_revision(second)
    assert len(content_revision(first)) == 16
    for name in ("model.safetensors", "tokenizer.json", "config.json", "chat_template.jinja"):
        before = content_revision(second)
        (second / name).write_text("changed")
        assert content_revision(second) != before


def test_content_revision_of_an_invalid_folder_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="there is no such folder"):
        content_revision(tmp_path / "none")
    folder = checkpoint(tmp_path / "a")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="Pickled weights are not read"):
        content_revision(folder)
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        content_revision(folder)


def test_training_curves_share_their_scales():
    from polypref.figures.training import plot_training

    def log(steps: int, slope: float) -> pd.DataFrame:
        step = pd.Series(range(1, steps + 1))
        rewards = {"chosen_reward": step * slope, "rejected_reward": -step * slope, "margin": 2 * step * slope}
        return pd.DataFrame({"step": step, "epoch": 1, "loss": 0.7 - step * slope, **rewards})

    figure = plot_training({"A": log(40, 0.01), "B": log(10, 0.02)}, batch_size=128)
    loss_a, loss_b, reward_a, reward_b = figure.axes
    assert loss_a.get_ylim() == loss_b.get_ylim() and reward_a.get_ylim() == reward_b.get_ylim()
    assert loss_a.get_xlim() == reward_b.get_xlim()
    assert loss_b.get_title(loc="right") == "n = 10 steps of 128 pairs"
    (label,) = loss_b.texts
    assert label.get_verticalalignment() == "top", "below its line: above it stands the head of the panel"
