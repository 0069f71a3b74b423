"""Bad input: one clear message with file, row and remedy, an exit code that is not 0, and no half-written output."""

import json


def fails(fresh, target: str, *words: str, config=None) -> None:
    output = fresh.snakemake("--", target, check=False, config=config)
    assert "exit code 0" not in output
    for word in words:
        assert word in output, output[-3000:]
    assert not (fresh.folder / target).exists()
    assert not list(fresh.folder.glob("results/**/*.partial"))


def edit(fresh, name: str, change) -> None:
    path = fresh.folder / name
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in change(rows)), encoding="utf-8")


def test_an_empty_response(fresh):
    edit(fresh, "data/sources/gutenberg.jsonl", lambda rows: [{**rows[0], "chosen": ""}, *rows[1:]])
    words = ("ERROR in source gutenberg", "data/sources/gutenberg.jsonl, row 1: chosen is empty", "bad_rows: drop")
    fails(fresh, "results/sources/gutenberg.parquet", *words, "The log is")


def test_an_empty_source(fresh):
    (fresh.folder / "data/sources/gutenberg.jsonl").write_text("")
    fails(fresh, "results/sources/gutenberg.parquet", "data/sources/gutenberg.jsonl: has no rows")


def test_text_that_is_not_utf8(fresh):
    path = fresh.folder / "data/sources/gutenberg.jsonl"
    path.write_bytes(path.read_bytes().replace(b'": "', b'": "\xe9', 1))
    fails(fresh, "results/sources/gutenberg.parquet", "data/sources/gutenberg.jsonl, row ", "is not UTF-8")


def test_a_missing_column(fresh):
    without = lambda row: {name: value for name, value in row.items() if name != "target"}  # noqa: E731
    edit(fresh, "data/wmt24pp/en-de_DE.jsonl", lambda rows: [without(row) for row in rows])
    fails(fresh, "results/wmt/de.parquet", "data/wmt24pp/en-de_DE.jsonl: column target is missing; found")


def test_a_duplicate_id(fresh):
    edit(fresh, "data/wmt24pp/en-de_DE.jsonl", lambda rows: [*rows, rows[0]])
    fails(fresh, "results/wmt/de.parquet", "data/wmt24pp/en-de_DE.jsonl, row ", "occur twice")


def test_a_checkpoint_that_does_not_exist(fresh):
    config = {**fresh.config, "checkpoints": {"strong": {"engine": "vllm", "path": "./nowhere/strong"}}}
    fails(fresh, "results/pairs.parquet", "checkpoints.strong.path", "./nowhere/strong", "a folder", config=config)


def test_a_wrong_key_is_one_message_without_a_traceback(fresh):
    config = {**fresh.config, "lenguages": ["en"]}
    output = fresh.snakemake("-n", check=False, config=config)
    assert "lenguages: unknown key" in output and "did you mean 'languages'" in output
    assert "Traceback" not in output and "exit code 0" not in output
