"""The summary that a run prints at its end."""

import fcntl
import io
import json
import os
import pty
import re
import struct
import termios

import pandas as pd
import pytest

from polypref.files.result_tables import write_csv
from polypref.running.summary import health_lines, print_summary, run_table

RUN = {"started_at": "2026-11-23T17:54:36+00:00", "answered": 1500, "reused": 20, "errors": 0,
       "completion_tokens": 30_000, "prompt_tokens": 9, "engine_starts": 1, "start_seconds": 61.0, "seconds": 100.0,
       "cost_usd": 0.0}  # fmt: skip
SINCE = 1795456476.0  # 2026-11-23T17:54:36Z


def results(folder, *batches):
    for batch, runs in batches:
        path = folder / f"store/{batch}/runs.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text("".join(json.dumps(RUN | run) + "\n" for run in runs))
    (folder / "tables").mkdir()
    return folder


def printed(folder) -> list[str]:
    stream = io.StringIO()
    print_summary(folder, SINCE, stream)
    assert "\x1b" not in stream.getvalue(), "no colours in a file"
    return stream.getvalue().splitlines()


def test_a_row_per_run_and_their_sums(tmp_path):
    earlier = {"started_at": "2026-11-22T00:00:00+00:00"}
    paid = {"cost_usd": 1.5, "errors": 2, "seconds": 50.0}
    lines = printed(results(tmp_path, ("answer/a-name-longer-than-most-names-of-checkpoints", [earlier, {}]),
                            ("judge/j", [paid])))  # fmt: skip
    head, first, second, sums = (line.split() for line in lines[2:6])
    assert head == [
        "batch",
        "rows",
        "reused",
        "errors",
        "tokens",
        "engine",
        "start",
        "answering",
        "rows/s",
        "tokens/s",
        "USD",
    ]
    assert first[0].endswith("checkpoints") and first[1:4] == ["1,500", "20", "0"]
    assert second[-4:] == ["s", "30.0", "600", "1.50"]
    assert sums == ["all", "3,000", "40", "2", "60,000", "0:02:02", "0:02:30", "20.0", "400", "1.50"]
    assert lines[6] == "Engine starts: 2, batches with missing rows: 2"
    assert f"Tables:    {tmp_path}/tables" in lines and not [line for line in lines if line.startswith("Report")]


@pytest.mark.parametrize("columns", [80, 140])
def test_a_terminal_of_any_width_shows_batches_and_numbers(tmp_path, columns):
    folder = results(tmp_path, ("translate/x-alma-group1", [{"completion_tokens": 12_345_678, "cost_usd": 105.25}]),
                     ("judge/qwen2.5-32b-instruct", [{}]))  # fmt: skip
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with os.fdopen(theirs, "w") as terminal:
        print_summary(folder, SINCE, terminal)
        written = b""
        while b"Tables:" not in written:  # the last line
            written += os.read(ours, 20_000)
    os.close(ours)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", written.decode())
    for text in ("batch", "translate/", "judge/", "1,500", "12,345,678", "0:01:40", "tokens/s", "123,457", "105.25"):
        assert text in shown, shown
    table = shown.split("Batches of this run:")[1].split("Engine starts")[0]
    assert "…" not in table and max(map(len, table.splitlines())) <= columns


def test_failed_rows_are_reported_with_the_remedy(tmp_path):
    lines = printed(
        results(tmp_path, ("answer/mid", [{"errors": 51}]), ("answer/weak", [{}]), ("judge/j", [{"errors": 1}]))
    )
    (message,) = [line for line in lines if "rows of" in line]
    assert message.startswith("52 rows of answer/mid, judge/j failed") and "docs/faq.md" in message


def test_a_run_without_engines_is_reported(tmp_path):
    (tmp_path / "[bold] :smile:").mkdir()
    lines = printed(results(tmp_path / "[bold] :smile:"))
    assert "no engine was started" in lines[1]
    assert f"Tables:    {tmp_path}/[bold] :smile:/tables" in lines, "a path is not parsed as markup"


def test_only_trainings_of_this_run_are_named(tmp_path):
    for name, digest, finished in (
        ("A", "d1", "2026-11-23T17:57:17Z"),
        ("B", "d1", ""),
        ("C", "d2", "2026-11-22T00:00:00Z"),
    ):
        (tmp_path / f"policies/{name}").mkdir(parents=True)
        (tmp_path / f"policies/{name}/policy.json").write_text(json.dumps({"digest": digest}))
        if finished:
            (tmp_path / f"trained/{digest}").mkdir(parents=True)
            run = {"seconds": 90.0, "attempts": 2, "finished": finished}
            (tmp_path / f"trained/{digest}/run.json").write_text(json.dumps(run))
    trained = [line for line in printed(results(tmp_path)) if line.startswith("Trained")]
    assert trained == ["Trained:   A, B in 0:01:30 in 2 attempts"]


def test_truncated_or_empty_records_do_not_fail_a_run(tmp_path):
    folder = results(tmp_path, ("answer/a", [{}]))
    with (folder / "store/answer/a/runs.jsonl").open("a") as file:
        file.write('{"started_at": "2026-11')
    (folder / "policies/A").mkdir(parents=True)
    (folder / "policies/A/policy.json").touch()
    lines = printed(folder)
    assert "Engine starts: 1, batches with missing rows: 1" in lines


def test_an_empty_table_of_health_checks_does_not_fail_a_run(tmp_path):
    """``--touch`` creates the tables of a run that was never made."""
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/health.csv").touch()
    out = io.StringIO()
    print_summary(tmp_path, 0.0, out)
    assert "Health" not in out.getvalue() and "no engine was started" in out.getvalue()


def test_each_failed_check_is_shown_with_its_worst_value(tmp_path):
    """Those that void the comparison come first."""
    (tmp_path / "tables").mkdir()
    rows = [("cut", "Cut off", value, "low", "fail", False, f"{value} are cut off") for value in (81.0, 83.0, 82.0)]
    rows += [("kappa", "Agreement", value, "high", "fail", True, f"kappa {value}") for value in (-0.5, -1.0)]
    rows += [("cut", "Cut off", 99.0, "low", "warn", False, "only a warning")]
    columns = ["check", "title", "value", "better", "status", "voids", "message"]
    write_csv(pd.DataFrame(rows, columns=columns), tmp_path / "tables/health.csv")
    assert health_lines(tmp_path) == [
        "No conclusion can be drawn from this run. 2 failed, 0 with a warning (report/index.html)",
        "  FAILED  Agreement: kappa -1.0",
        "  FAILED  Cut off: 83.0 are cut off",
    ]


def test_a_terminal_gets_a_ruled_table():
    assert run_table([RUN | {"batch": "b"}], terminal=True).box and not run_table([], terminal=False).box
