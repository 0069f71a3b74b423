"""Invalid input gives one message with file, row and remedy, a non-zero exit code, and no partial output."""

import json


def assert_fails(fresh, target: str, *words: str, config=None) -> None:
    """Run Snakemake for a target, and check that it fails with these words in its output and leaves no files."""
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
    assert_fails(fresh, "results/sources/gutenberg.parquet", *words, "The log is")


def test_an_empty_source(fresh):
    (fresh.folder / "data/sources/gutenberg.jsonl").write_text("")
    assert_fails(fresh, "results/sources/gutenberg.parquet", "data/sources/gutenberg.jsonl: has no rows")


def test_text_that_is_not_utf8(fresh):
    path = fresh.folder / "data/sources/gutenberg.jsonl"
    path.write_bytes(path.read_bytes().replace(b'": "', b'": "\xe9', 1))
    assert_fails(fresh, "results/sources/gutenberg.parquet", "data/sources/gutenberg.jsonl, row ", "is not UTF-8")


def test_a_missing_column(fresh):
    without = lambda row: {name: value for name, value in row.items() if name != "target"}  # noqa: E731
    edit(fresh, "data/wmt24pp/en-de_DE.jsonl", lambda rows: [without(row) for row in rows])
    assert_fails(fresh, "results/wmt/de.parquet", "data/wmt24pp/en-de_DE.jsonl: column target is missing; found")


def test_a_duplicate_id(fresh):
    edit(fresh, "data/wmt24pp/en-de_DE.jsonl", lambda rows: [*rows, rows[0]])
    assert_fails(fresh, "results/wmt/de.parquet", "data/wmt24pp/en-de_DE.jsonl, row ", "occur twice")


def test_a_missing_checkpoint(fresh):
    config = {**fresh.config, "checkpoints": {"strong": {"engine": "vllm", "path": "./nowhere/strong"}}}
    assert_fails(
        fresh, "results/pairs.parquet", "checkpoints.strong.path", "./nowhere/strong", "a folder", config=config
    )


def test_an_unknown_key_gives_one_message_without_a_traceback(fresh):
    config = {**fresh.config, "lenguages": ["en"]}
    output = fresh.snakemake("-n", check=False, config=config)
    assert "lenguages: unknown key" in output and "did you mean 'languages'" in output
    assert "Traceback" not in output and "exit code 0" not in output
