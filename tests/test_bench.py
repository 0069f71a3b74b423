"""The benchmarks: each runs in small, and what it prints goes to its place in docs/benchmarks.md."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCH = ROOT / "bench"
LIGHT = ("jobs", "store", "datapath", "statistics", "coverage")
ENGINES = ("dag", "complete", "judging", "batch", "training", "incremental")
"""Those that take more than seconds, or an engine; `others` installs from PyPI and is run by hand."""


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
    rows = [line.count("|") for line in lines if line.startswith("|")]
    assert len(rows) >= 3 and len(set(rows)) == 1, f"no table: {done.stdout}"
    assert not re.search(r"^(INFO|WARNING)", done.stdout, re.MULTILINE), "only the page is on stdout"
    return done.stdout


@pytest.mark.parametrize("name", LIGHT)
def test_light_benchmarks_run(name):
    smoke(name)


@pytest.mark.e2e
@pytest.mark.parametrize("name", ENGINES)
def test_benchmarks_with_an_engine_run(name):
    smoke(name)


def test_every_benchmark_has_a_script_and_a_place(bench):
    run, _ = bench
    page = run.PAGE.read_text(encoding="utf-8")
    assert set(run.ITEMS) == {path.stem.removeprefix("bench_") for path in BENCH.glob("bench_*.py")} - {"gpu"}
    for name in run.ITEMS:
        assert run.replaced(page, name, "new").count("new\n<!-- end") == 1


def test_one_section_is_replaced_and_no_other(bench):
    run, _ = bench
    page = "a\n<!-- bench dag -->\nold\n<!-- end dag -->\n<!-- bench store -->\nkept\n<!-- end store -->\n"
    assert run.replaced(page, "dag", r"\1 new") == page.replace("old", r"\1 new")
    with pytest.raises(SystemExit, match="has no place for judging"):
        run.replaced(page, "judging", "new")


def test_a_process_is_measured_without_its_parent(bench):
    _, common = bench
    ballast = bytearray(300 * 2**20)
    cost = common.run_process([sys.executable, "-S", "-c", "print('done')"])
    assert cost.output == "done\n" and 0 < cost.memory < 100 < len(ballast)
    with pytest.raises(RuntimeError, match="ended with 3"):
        common.run_process([sys.executable, "-c", "raise SystemExit(3)"])


def test_turns_alternate_and_ratios_are_of_the_same_turn(bench):
    _, common = bench
    called = []

    def action(name, walls):
        return lambda: (called.append(name), common.Cost(next(walls), 1.0, 1.0))[1]

    costs = common.interleaved(2, a=action("a", iter([9, 2, 4])), b=action("b", iter([9, 1, 4])))
    assert called == ["a", "b"] * 3, "a turn that warms up, then two"
    assert common.ratios(costs, "a", "b") == [2.0, 1.0]
    assert common.spread([2.0, 1.0, 4.0]) == ["2.00", "1.00", "4.00"]
