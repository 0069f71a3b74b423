"""Pinning inserts revisions into the text of YAML files and leaves comments, anchors and other entries unchanged."""

from pathlib import Path

import pytest
import yaml

from polypref.config.loading import load_config, read_languages
from polypref.plan.needs import Repository
from polypref.plan.plan import Plan
from polypref.preflight.pinning import PinError, pin, pinned_text, unpinned

ROOT = Path(__file__).parents[2]
REGISTRY = """\
checkpoints:
  one: &base
    engine: vllm
    path: o/one # the first
    dtype: auto
  two: {<<: *base, path: o/two}
  three: {<<: *base, path: "o/three", license: mit}
  four:
    path: o/four
    revision: null
  five: {revision: kept, path: o/five}
"""


def revisions(text: str) -> dict[str, str | None]:
    return {name: entry.get("revision") for name, entry in yaml.safe_load(text)["checkpoints"].items()}


def test_each_entry_gets_its_own_commit_and_all_other_lines_stay():
    text, pinned = pinned_text(REGISTRY, {f"o/{name}": name for name in ("one", "two", "three", "four", "five")})
    assert pinned == {"o/one", "o/two", "o/three", "o/four", "o/five"}
    assert revisions(text) == {"one": "one", "two": "two", "three": "three", "four": "four", "five": "kept"}
    assert "    path: o/one # the first\n    revision: one\n    dtype: auto\n" in text
    assert [line for line in text.splitlines() if "revision" not in line] == [
        line for line in REGISTRY.splitlines() if "three" not in line and "two" not in line and "revision" not in line
    ]


def test_an_entry_does_not_inherit_the_commit_of_its_anchor():
    """If only the first of several checkpoints is pinned, those that merge its anchor must not get its commit."""
    text, pinned = pinned_text(REGISTRY, {"o/one": "abc"})
    assert pinned == {"o/one"}
    assert revisions(text) == {"one": "abc", "two": None, "three": None, "four": None, "five": "kept"}
    again, _ = pinned_text(text, {"o/two": "def"})
    assert revisions(again)["two"] == "def"


def test_no_file_is_changed_unless_all_commits_are_known(tmp_path):
    raw = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    plan = Plan(load_config(raw, ROOT), read_languages(ROOT))
    files = [tmp_path / "config.yaml", tmp_path / "models.yaml"]
    for file, source in zip(files, ("config/config.yaml", "resources/models.yaml"), strict=True):
        file.write_bytes((ROOT / source).read_bytes())
    before = [file.read_text() for file in files]

    def fails(repository: Repository) -> str:
        if "Group3" in repository.path:
            raise OSError("503 Service Unavailable")
        return "a" * 40

    with pytest.raises(
        PinError, match=r"because of these errors:\n  haoranxu/X-ALMA-13B-Group3: 503 Service Unavailable"
    ):
        pin(plan, files, fails)
    with pytest.raises(PinError, match=r"aya-23-8B: .*no entry with this `path:` in .*config.yaml; add `revision: aaa"):
        pin(plan, files[:1], lambda repository: "a" * 40)
    assert [file.read_text() for file in files] == before
    messages = []
    pin(plan, files, lambda repository: "a" * 40, messages.append)
    assert len(messages) == len(unpinned(plan)) == 4
    raw = yaml.safe_load(files[0].read_text()) | {"registry": str(files[1])}
    assert not unpinned(Plan(load_config(raw, ROOT), read_languages(ROOT)))
