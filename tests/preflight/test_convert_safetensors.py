"""Converted weights have the same tensors; a pickle that would run code is rejected before it runs."""

import json
from pathlib import Path

import pytest
import torch
from hub import COMMIT, run, serve
from safetensors.torch import load_file
from transformers import AutoModelForSeq2SeqLM

from polypref.preflight.convert_safetensors import convert
from polypref.requests.checkpoints import CheckpointError, content_revision

NLLB = Path(__file__).parents[2] / "resources/demo/models/nllb"


@pytest.fixture
def pickled(tmp_path) -> Path:
    """The miniature's NLLB in the form of the published NLLB-200: pickled, with tied embeddings under several names."""
    folder = tmp_path / "models/demo/nllb"
    folder.mkdir(parents=True)
    for file in NLLB.iterdir():
        if file.suffix != ".safetensors":
            (folder / file.name).write_bytes(file.read_bytes())
    torch.save(AutoModelForSeq2SeqLM.from_pretrained(NLLB).state_dict(), folder / "pytorch_model.bin")
    (folder / "modeling_nllb.py").write_text("raise SystemExit('code of the repository was run')")
    return folder


def test_converted_weights_have_the_same_tensors(pickled, tmp_path):
    digest = convert(pickled, tmp_path / "out")
    assert digest == content_revision(tmp_path / "out")
    converted, original = (load_file(folder / "model.safetensors") for folder in (tmp_path / "out", NLLB))
    assert converted.keys() == original.keys() and all(
        torch.equal(converted[name], original[name]) for name in original
    )
    assert (tmp_path / "out/tokenizer.json").is_file() and not list((tmp_path / "out").glob("*.bin"))


def test_a_pickle_that_would_run_code_is_rejected(pickled, tmp_path):
    class Malicious:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "was-run",))

    torch.save({"model.shared.weight": Malicious()}, pickled / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="contain more than tensors"):
        convert(pickled, tmp_path / "out")
    assert not (tmp_path / "was-run").exists() and not (tmp_path / "out").exists()


def test_error_messages(pickled, tmp_path):
    with pytest.raises(CheckpointError, match=r"has no pytorch_model\*\.bin"):
        convert(NLLB, tmp_path / "out")
    with pytest.raises(CheckpointError, match="already exists"):
        convert(pickled, tmp_path)
    config = json.loads((pickled / "config.json").read_text())
    (pickled / "config.json").write_text(json.dumps({**config, "architectures": ["OwnModel"]}))
    with pytest.raises(CheckpointError, match="transformers has no model class OwnModel"):
        convert(pickled, tmp_path / "out")


@pytest.mark.e2e  # seconds of computing
def test_the_command_downloads_from_the_hub(pickled, tmp_path):
    with serve(tmp_path) as hub:
        done = run(hub, tmp_path, "polypref.preflight.convert_safetensors", "demo/nllb", "made", "--revision", COMMIT)
    assert done.returncode == 0, done.stderr
    assert "made (content " in done.stdout and (tmp_path / "made/model.safetensors").is_file()
    assert not any(asked.endswith(".py") for asked in hub.asked)
