"""Fetch and push: every used file is fetched except those that could run code; faults are listed together."""

import importlib.util
from pathlib import Path

import pytest
import yaml

from polypref.config.loading import load_config, read_languages
from polypref.plan.plan import Plan
from polypref.preflight.fetching import FetchError, fetch

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def plan() -> Plan:
    raw = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    return Plan(load_config(raw, ROOT), read_languages(ROOT))


class Calls(list):
    """Replaces ``load_dataset`` and ``snapshot_download``."""

    def __init__(self, folder: Path, weights: str = "model.safetensors", fails: tuple[str, ...] = ()):
        self.folder, self.fails = folder, fails
        (folder / weights).touch()

    def __call__(self, path, *args, **more):
        if path in self.fails:
            raise OSError("403 Forbidden")
        self.append((path, *args, more))
        return str(self.folder)


def test_every_used_repository_is_fetched_once(plan, tmp_path):
    data, models = Calls(tmp_path), Calls(tmp_path)
    fetch(plan, data, models, lambda _: None)
    assert {("google/wmt24pp", "en-ar_EG"), ("CohereLabs/aya_evaluation_suite", "dolly_human_edited")} <= {
        call[:2] for call in data
    }
    paths = [call[0] for call in models]
    assert len(paths) == len(set(paths)) and "haoranxu/X-ALMA-13B-Group8" in paths and "CohereLabs/aya-23-8B" in paths
    for _, more in models:
        assert "*.safetensors" in more["allow_patterns"] and "*.py" in more["ignore_patterns"]
        assert not any(pattern.endswith((".bin", ".pt", ".pkl")) for pattern in more["allow_patterns"]) or _ == (
            "facebook/nllb-200-3.3B"
        )
    assert not any("gpt" in path for path in paths), "models behind an API are not fetched"


def test_checkpoints_for_ctranslate2_are_converted_while_fetching(plan, tmp_path):
    converted = []
    fetch(plan, Calls(tmp_path), Calls(tmp_path), lambda _: None, lambda *what: converted.append(what))
    nllb = plan.config.checkpoints["nllb-200-3.3b"]
    assert converted == [(nllb.path, nllb.revision, "float16", False)]

    def fails(*_):
        raise RuntimeError("no space left on device")

    with pytest.raises(FetchError, match=r"facebook/nllb-200-3\.3B: no space left on device"):
        fetch(plan, Calls(tmp_path), Calls(tmp_path), lambda _: None, fails)


def test_faults_are_listed_together_with_their_pages(plan, tmp_path):
    data = Calls(tmp_path, fails=("lmsys/chatbot_arena_conversations",))
    models = Calls(tmp_path, fails=("google/gemma-3-12b-it",))
    with pytest.raises(FetchError, match="2 repositories") as caught:
        fetch(plan, data, models, lambda _: None)
    text = str(caught.value)
    assert "https://huggingface.co/datasets/lmsys/chatbot_arena_conversations" in text and "gemma-3-12b-it" in text
    assert len(models) > 10, "the other repositories are still fetched"


def test_a_checkpoint_without_safetensors_is_a_fault(plan, tmp_path):
    (tmp_path / "bin").mkdir()
    with pytest.raises(FetchError, match=r"aya-23-8B: has no \*.safetensors"):
        fetch(plan, Calls(tmp_path), Calls(tmp_path / "bin", "pytorch_model.bin"), lambda _: None)


def test_push_requires_a_complete_data_set_and_a_name(tmp_path):
    spec = importlib.util.spec_from_file_location("push_dataset", ROOT / "workflow/scripts/push_dataset.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    done = []

    class Api:
        def create_repo(self, *args, **more):
            done.append((args, more))

        upload_folder = create_repo

    with pytest.raises(ValueError, match=r"has no README.md and no train.parquet"):
        module.push(tmp_path, "o/n", False, Api())
    for name in ("README.md", "train.parquet"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match="OWNER/NAME"):
        module.push(tmp_path, "name", False, Api())
    assert not done
    assert module.push(tmp_path, "o/n", False, Api()) == "https://huggingface.co/datasets/o/n"
    assert done[0][1]["private"] and done[1][1]["allow_patterns"] == ["README.md", "croissant.json", "*.parquet"]
