"""Content revisions of local checkpoints."""

import os
from pathlib import Path

import pytest

from polypref.requests.checkpoints import CheckpointError, content_revision

os.environ.setdefault("HF_HUB_OFFLINE", "1")


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
