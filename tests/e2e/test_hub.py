"""The miniature with data and models from a local Hub server: pin, preflight, fetch, offline runs, and push."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from hub import COMMIT, Hub, run, serve

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "resources/demo"
SETS = ("chatbot_arena", "helpsteer2", "tasksource", "gutenberg", "math_step")


def card(files: dict[str, tuple[str, str]]) -> str:
    """Return a data set's README for {configuration: (split, file)}."""
    configs = [
        {"config_name": name, "data_files": [{"split": split, "path": path}]} for name, (split, path) in files.items()
    ]
    return f"---\n{yaml.safe_dump({'configs': configs})}---\n"


def create_repositories(folder: Path) -> None:
    """Create repositories of the miniature's data and checkpoints, with pickles and code as traps."""
    for model in DEMO.joinpath("models").iterdir():
        shutil.copytree(model, folder / "models/demo" / model.name)
        (folder / "models/demo" / model.name / "pytorch_model.bin").write_bytes(b"pickle")
        (folder / "models/demo" / model.name / "modeling.py").write_text("raise SystemExit")
    for name in SETS:
        (folder / "datasets/demo" / name).mkdir(parents=True)
        shutil.copy(DEMO / f"sources/{name}.jsonl", folder / "datasets/demo" / name / "train.jsonl")
    wmt, aya = folder / "datasets/demo/wmt24pp", folder / "datasets/demo/aya"
    wmt.mkdir()
    aya.mkdir()
    for file in (DEMO / "wmt24pp").iterdir():
        shutil.copy(file, wmt)
    (wmt / "README.md").write_text(card({file.stem: ("train", file.name) for file in sorted(wmt.glob("*.jsonl"))}))
    for part in ("dolly_human_edited", "dolly_machine_translated"):  # all languages in one file, as in the real suite
        lines = [file.read_text(encoding="utf-8") for file in sorted((DEMO / "aya" / part).iterdir())]
        (aya / f"{part}.jsonl").write_text("".join(lines), encoding="utf-8")
    parts = {file.stem: ("test", file.name) for file in sorted(aya.glob("*.jsonl"))}
    (aya / "README.md").write_text(card(parts))


@pytest.fixture(scope="module")
def hub_and_folder(tmp_path_factory):
    """A Hub with the miniature, and a folder with a configuration that uses its repositories without revisions."""
    hub_folder, folder = tmp_path_factory.mktemp("hub"), tmp_path_factory.mktemp("run")
    create_repositories(hub_folder)
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
    for name, source in config["sources"].items():
        source["path"] = f"demo/{name}"
    config["wmt"]["path"], config["evaluation"]["path"] = "demo/wmt24pp", "demo/aya"
    config |= {"registry": "models.yaml", "languages": ["en", "de"]}
    config["sampling"]["items"], config["wmt"]["segments"] = 5, 5
    registry = (DEMO / "models.yaml").read_text(encoding="utf-8").replace("resources/demo/models/", "demo/")
    (folder / "models.yaml").write_text(registry, encoding="utf-8")
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    with serve(hub_folder) as hub:
        yield hub, folder


def snakemake(hub: Hub, folder: Path, *targets: str, fails: bool = False, **variables: str) -> str:
    done = run(
        hub, folder, "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", "config.yaml", "--cores", "1",
        "--workflow-profile", "none", *targets, **variables,
    )  # fmt: skip
    assert bool(done.returncode) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_preflight_lists_unpinned_missing_and_gated_repositories_together(hub_and_folder):
    hub, folder = hub_and_folder
    hub.gated |= {"demo/judge"}
    shutil.move(hub.folder / "models/demo/nllb/model.safetensors", folder / "moved")
    try:
        output = snakemake(hub, folder, "preflight", fails=True, HF_TOKEN="", HF_TOKEN_PATH=str(folder / "none"))
    finally:
        hub.gated.clear()
        shutil.move(folder / "moved", hub.folder / "models/demo/nllb/model.safetensors")
    assert "demo/judge: gated, and this token has no access: request access at https://huggingface.co/demo" in output
    assert "demo/nllb: has no *.safetensors at main" in output and "polypref.preflight.convert_safetensors" in output
    assert "13 repositories have no revision" in output and "the Hub answered for 13 of 13 repositories" in output
    assert "2 of " in output and "no job was started" in output


def test_no_repository_is_pinned_if_one_does_not_exist(hub_and_folder):
    hub, folder = hub_and_folder
    before = [(folder / name).read_bytes() for name in ("config.yaml", "models.yaml")]
    shutil.move(hub.folder / "models/demo/judge", folder / "moved")
    try:
        output = snakemake(hub, folder, "pin", fails=True)
    finally:
        shutil.move(folder / "moved", hub.folder / "models/demo/judge")
    assert "no file was changed" in output and "demo/judge" in output
    assert [(folder / name).read_bytes() for name in ("config.yaml", "models.yaml")] == before


def test_pin_fetch_and_then_run_offline(hub_and_folder):
    hub, folder = hub_and_folder
    assert f"demo/wmt24pp at {COMMIT}" in snakemake(hub, folder, "pin")
    assert (folder / "models.yaml").read_text().count(COMMIT) == 6 and "# The miniature's checkpoints" in (
        folder / "models.yaml"
    ).read_text()
    assert (folder / "config.yaml").read_text().count(COMMIT) == 7
    assert "all repositories already have a revision" in snakemake(hub, folder, "pin")
    assert "have no revision" not in snakemake(hub, folder, "preflight")

    offline = {"HF_HUB_OFFLINE": "1"}
    assert "13 of 13 repositories are not in" in snakemake(hub, folder, "preflight", fails=True, **offline)
    assert "set HF_HUB_OFFLINE=1" in snakemake(hub, folder, "fetch")
    assert not [asked for asked in hub.asked if asked.endswith((".bin", ".py")) and "/datasets/" not in asked]
    assert "all 13 repositories are in" in snakemake(hub, folder, "preflight", **offline)

    before = len(hub.asked)
    shown = snakemake(hub, folder, "show-requests", **offline)
    assert "not rendered" not in shown and f"vllm demo/judge at {COMMIT}" in shown
    wanted = ["results/pairs.parquet", "results/prompts/en.parquet", "results/translations/wmt/source/nllb/de.parquet",
              "results/answers/mid/de.parquet"]  # fmt: skip
    snakemake(hub, folder, *wanted, **offline)
    assert hub.asked[before:] == [], "no requests are sent to the Hub in offline mode"
    for name in wanted:
        assert pq.read_metadata(folder / name).num_rows
    texts = pq.read_table(folder / wanted[2]).to_pylist()
    assert not any(row["error"] for row in texts) and all(row["text"] for row in texts)


def test_push(hub_and_folder, tmp_path):
    hub, _ = hub_and_folder
    dataset = tmp_path / "A"
    dataset.mkdir()
    (dataset / "README.md").write_text("---\nconfigs:\n- config_name: default\n  data_files: train.parquet\n---\n# A\n")
    shutil.copy(next((DEMO / "sources").iterdir()), dataset / "notes.txt")
    import pyarrow as pa

    pq.write_table(pa.table({"prompt": ["p"], "chosen": ["c"], "rejected": ["r"]}), dataset / "train.parquet")
    done = run(hub, tmp_path, "push_dataset", str(dataset), "demo/made")
    assert done.returncode == 0, done.stderr
    pushed = hub.repository("datasets", "demo/made")
    assert sorted(file.name for file in pushed.iterdir()) == ["README.md", "train.parquet"]
    assert "demo/made" in hub.private, "pushed data sets are private by default"
    code = "import datasets; print(datasets.load_dataset('demo/made', split='train')[0])"
    (tmp_path / "load.py").write_text(code)
    loaded = run(hub, tmp_path, "load")
    assert "{'prompt': 'p', 'chosen': 'c', 'rejected': 'r'}" in loaded.stdout, loaded.stderr
    refused = run(hub, tmp_path, "push_dataset", str(dataset), "demo/made", HF_TOKEN="hf_wrong")
    assert refused.returncode and "Traceback" not in refused.stderr, refused.stderr
