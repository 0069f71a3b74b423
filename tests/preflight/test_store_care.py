"""``polypref store`` counts rows, finds damaged records, and prunes only the rows that no request needs."""

from pathlib import Path

import pytest
import yaml
from store_records import fill

from polypref.cli import main
from polypref.config.loading import load_config, read_languages
from polypref.files.schemas import REQUESTS
from polypref.files.table_writer import write_table
from polypref.plan.plan import Plan
from polypref.preflight import store_care
from polypref.requests.row_store import RowStore

ROOT = Path(__file__).parents[2]


@pytest.fixture
def results(tmp_path):
    """Two batches of three rows; one batch was completed in two runs that both stored one of its rows."""
    fill(tmp_path / "store/judge/judge", "abc")
    fill(tmp_path / "store/answer/weak", "ab")
    fill(tmp_path / "store/answer/weak", "bc")
    return tmp_path


@pytest.fixture
def plan():
    raw = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
    return Plan(load_config(raw, ROOT), read_languages(ROOT))


def write_requests(plan, results, ids):
    """Write the request files of every batch, all with the same ids."""
    rows = [
        {**dict.fromkeys(REQUESTS.names), "request_id": i, "item_id": i, "messages": [], "decoding": "{}"} for i in ids
    ]
    for (task, _), stems in plan.batches().items():
        for stem in stems:
            write_table(results / "requests" / task / f"{stem}.parquet", rows, REQUESTS)


def stored_ids(results, batch="answer/weak"):
    return {record["request_id"] for record in RowStore(results / "store" / batch).records()}


def test_rows_are_counted_once_with_their_tokens(results):
    table = store_care.inventory(results).set_index(["task", "model"])
    assert table["rows"].to_dict() == {("answer", "weak"): 3, ("judge", "judge"): 3, ("total", ""): 6}
    assert table.loc[("total", ""), ["prompt_tokens", "completion_tokens", "cost_usd"]].tolist() == [6, 12, 3.0]


def test_show_and_verify_on_the_command_line(results, capsys):
    assert main(["store", "show", str(results)]) == 0
    assert "judge" in capsys.readouterr().out
    assert main(["store", "verify", str(results)]) == 0
    assert "every record" in capsys.readouterr().out


def test_verify_reports_a_damaged_part_and_does_not_rename_it(results, capsys):
    part = next((results / "store/judge/judge").glob("part-*"))
    part.write_bytes(part.read_bytes()[:60])
    assert main(["store", "verify", str(results)]) == 1
    assert "the next run will rename the file" in capsys.readouterr().out and part.exists()


def test_show_and_a_dry_prune_do_not_rename_a_damaged_part(results, plan, capsys):
    write_requests(plan, results, "ab")
    part = next((results / "store/judge/judge").glob("part-*"))
    part.write_bytes(part.read_bytes()[:60])
    fill(results / "store/answer/nobody", "a")
    other = next((results / "store/answer/nobody").glob("part-*"))
    other.write_bytes(b"")
    assert main(["store", "show", str(results)]) == 0
    assert list(store_care.prune(plan, results, delete=False)) and part.exists() and other.exists()
    assert "the next run will rename the file" in capsys.readouterr().out


def test_prune_counts_rows_and_removes_them_only_if_delete_is_set(results, plan):
    write_requests(plan, results, "ab")
    counted = {p.folder.name: (p.rows, p.kept) for p in store_care.prune(plan, results, delete=False)}
    assert counted == {"judge": (1, 2), "weak": (1, 2)} and stored_ids(results) == set("abc")
    removed = {p.folder.name: p.kept for p in store_care.prune(plan, results, delete=True)}
    assert removed == {"judge": 2, "weak": 2} and stored_ids(results) == stored_ids(results, "judge/judge") == set("ab")
    assert set(RowStore(results / "store/answer/weak").get("abc")) == set("ab")


def test_prune_removes_unused_batches_and_refuses_if_requests_are_missing(results, plan, capsys, tmp_path):
    fill(results / "store/answer/nobody", "a")
    config = str(ROOT / "config/demo.yaml")
    assert main(["store", "prune", str(results), "--configfile", config, "--yes"]) == 2
    assert "does not exist yet" in capsys.readouterr().err and stored_ids(results, "answer/nobody") == {"a"}
    write_requests(plan, results, "abc")
    assert main(["store", "prune", str(results), "--configfile", config, "--yes"]) == 0
    assert not (results / "store/answer/nobody").exists() and stored_ids(results) == set("abc")


def test_prune_does_not_wait_for_a_writer(results, plan, capsys):
    write_requests(plan, results, "a")
    with RowStore(results / "store/judge/judge"):
        code = main(["store", "prune", str(results), "--configfile", str(ROOT / "config/demo.yaml"), "--yes"])
    message = capsys.readouterr().err
    assert code == 2 and "is writing to this row store" in message


def test_a_missing_store_is_reported(tmp_path, capsys):
    assert main(["store", "show", str(tmp_path)]) == 2
    assert "there is no row store" in capsys.readouterr().err
