"""Every benchmark runs with tiny sizes, and its output replaces its section of docs/benchmarks.md."""

import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "bench"
LIGHT = ("store", "seeds")
HEAVY = ("scale", "statistics", "coverage", "jobs", "datapath", "report", "dag", "incremental", "complete", "judging",
         "gpu")  # fmt: skip
"""Benchmarks that take more than a few seconds with the smallest size. `batch`, `training` and `slurm` start several
engines, so only their functions are tested; `others` installs packages from PyPI and is run by hand."""


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import common
    import run

    return run, common


def smoke(name: str) -> str:
    done = subprocess.run(
        [sys.executable, str(BENCH / f"bench_{name}.py"), "--smoke"], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    for is_table, rows in itertools.groupby(lines, lambda line: line.startswith("|")):
        if is_table:
            cells = [row.count("|") for row in rows]
            assert len(cells) >= 3 and len(set(cells)) == 1, f"no table: {done.stdout}"
    assert any(line.startswith("|") for line in lines), f"no table: {done.stdout}"
    assert not re.search(r"^(INFO|WARNING)", done.stdout, re.MULTILINE), "stdout must have only the section"
    return done.stdout


@pytest.mark.parametrize("name", LIGHT)
def test_light_benchmarks_run(name):
    smoke(name)


def test_minimum_times_of_a_card(bench):
    from bench_gpu import Card, limits
    from random_model import Shape

    shape = Shape(width=8, inner=16, layers=2, heads=4, kv_heads=2, vocabulary=10)
    # a layer has 2 * 64 for queries and output, 2 * 32 for keys and values, and 3 * 128; the embeddings have 2 * 80
    assert shape.parameters == 2 * (128 + 64 + 384) + 160
    assert shape.cache_bytes == 2 * 2 * 2 * 2 * 2
    memory, compute = limits(shape, Card("", bandwidth=1.0, compute=1.0), requests=3, prompt=5, answer=4, at_once=2)
    weights = 2 * (128 + 64 + 384) + 80  # input embeddings are looked up and not multiplied
    assert compute == 2 * weights * 3 * (5 + 4)
    assert memory == 2 * 4 * 2 * weights + 3 * (4 * 5 + 8) * 32  # two batches of four steps, and the cache


@pytest.mark.e2e
@pytest.mark.parametrize("name", HEAVY)
def test_heavy_benchmarks_run(name):
    smoke(name)


def costs(*walls: float) -> list:
    import common

    return [common.Cost(wall, wall / 2, 100.0) for wall in walls]


def test_costs_of_single_files_are_scaled_to_all_files(bench):
    import bench_batch

    assert bench_batch.scaled(costs(10, 14), 24) == bench_batch.Cost(288, 144, 100)


def test_complete_can_read_the_request_files(bench, tmp_path):
    import synthetic_requests

    from polypref.requests.batch import Batch

    paths = synthetic_requests.write_translations(tmp_path, 3, fields=2, languages=2)
    batch = Batch([str(path) for path in paths])
    assert len(paths) == 4 and batch.slots == len(batch) == 12, "all requests must be different"


def test_costs_of_single_calls_are_scaled_to_the_table(bench):
    import bench_judging

    found = {"batch": costs(2.0, 4.0), "calls": costs(3.0, 3.0)}
    wall, processor = bench_judging.table_rows(found, pairs=60, sample=30)
    assert wall == ["wall", "2.0", "30.0", "11.2", "7.5", "15.0", "4.5", "3.0", "6.0"]
    assert processor[1:3] == ["1.0", "15.0"]


def test_training_pairs_pass_the_checks_of_the_rule(bench, tmp_path):
    import bench_training

    from polypref.files.schemas import DATASET
    from polypref.files.tables import read_rows

    bench_training.write_dataset(tmp_path / "A.parquet", 5)
    rows = read_rows(tmp_path / "A.parquet", DATASET)
    assert len({row["item_id"] for row in rows}) == 5
    for row in rows:
        assert [turn["role"] for turn in row["chosen_messages"]] == ["user", "assistant"]
        assert row["chosen_messages"] != row["rejected_messages"]
    command = bench_training.direct_command(
        bench_training.Training(**bench_training.training_section()), bench_training.DEMO / "models/base"
    )
    assert any(word.endswith("train_dpo") for word in command) and "data.parquet" in " ".join(command)


def test_a_training_is_compared_with_and_without_the_rule(bench):
    import bench_training

    found = {"rule": costs(24.0, 30.0), "own": costs(18.0, 24.0)}
    trainer, wall, processor = bench_training.table_rows(found, [20.0, 24.0])
    assert trainer == ["trainer only, wall", "20.0", "18.0", "0.95", "0.90", "1.00"]
    assert wall[1:3] == ["24.0", "18.0"] and processor[1:3] == ["12.0", "9.0"] and wall[3:] == processor[3:]


def test_the_scripts_of_the_benchmarks_exist():
    """bench_training ran a script that had been renamed."""
    for file in BENCH.glob("bench_*.py"):
        for name in re.findall(r'SCRIPTS / "(\w+\.py)"', file.read_text(encoding="utf-8")):
            assert (ROOT / "workflow/scripts" / name).is_file(), f"{file.name}: {name}"


def test_one_row_of_the_source_is_changed(bench, tmp_path):
    import bench_incremental

    bench_incremental.write_data(tmp_path)
    source = tmp_path / bench_incremental.CHANGED
    before = source.read_text().splitlines()
    bench_incremental.change_a_row(tmp_path)
    after = source.read_text().splitlines()
    assert [a != b for a, b in zip(before, after, strict=True)] == [True] + [False] * (len(before) - 1)


def test_every_benchmark_has_a_script_and_a_section(bench):
    run, _ = bench
    page = run.PAGE.read_text(encoding="utf-8")
    assert set(run.ITEMS) == {path.stem.removeprefix("bench_") for path in BENCH.glob("bench_*.py")} - {"gpu"}
    for name in run.ITEMS:
        assert run.replace_section(page, name, "new").count("new\n<!-- end") == 1


def test_only_one_section_is_replaced(bench):
    run, _ = bench
    page = "a\n<!-- bench dag -->\nold\n<!-- end dag -->\n<!-- bench store -->\nkept\n<!-- end store -->\n"
    assert run.replace_section(page, "dag", r"\1 new") == page.replace("old", r"\1 new")
    with pytest.raises(SystemExit, match="there is no section judging"):
        run.replace_section(page, "judging", "new")


def test_the_memory_of_a_process_excludes_its_parent(bench):
    _, common = bench
    ballast = bytearray(300 * 2**20)
    cost = common.run_process([sys.executable, "-S", "-c", "print('done')"])
    assert cost.output == "done\n" and 0 < cost.memory < 100 < len(ballast)
    with pytest.raises(RuntimeError, match="ended with 3"):
        common.run_process([sys.executable, "-c", "raise SystemExit(3)"])


def test_repeats_alternate_and_ratios_compare_the_same_repeat(bench):
    _, common = bench
    called = []

    def action(name, walls):
        return lambda: (called.append(name), common.Cost(next(walls), 1.0, 1.0))[1]

    costs = common.interleaved(2, a=action("a", iter([9, 2, 4])), b=action("b", iter([9, 1, 4])))
    assert called == ["a", "b", "b", "a", "a", "b"], (
        "one warm-up repeat, then two, each in the reverse order of the last"
    )
    assert common.ratios(costs, "a", "b") == [2.0, 1.0]
    assert common.spread([2.0, 1.0, 4.0]) == ["2.00", "1.00", "4.00"]
