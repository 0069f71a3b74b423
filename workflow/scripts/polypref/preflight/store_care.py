"""``polypref store``: what the row stores hold, whether it is sound, and what no current request needs."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from polypref.config.loading import ConfigError, load_config, read_languages
from polypref.files.schemas import REQUESTS
from polypref.files.tables import read_table
from polypref.plan.plan import Plan
from polypref.requests.row_store import RowStore, StoreError

ROOT = Path(__file__).resolve().parents[4]
WHOLE = ("rows", "prompt_tokens", "completion_tokens")
COLUMNS = {**dict.fromkeys(WHOLE, "{:,}".format), **dict.fromkeys(("cost_usd", "MB"), "{:,.2f}".format)}


def stores(results: Path) -> list[Path]:
    """Folders of all batches' row stores.

    Raises
    ------
    StoreError
        There is none.
    """
    found = sorted(path for path in (results / "store").glob("*/*") if path.is_dir())
    if not found:
        raise StoreError(
            f"{results / 'store'}: there is no row store. Name the folder that the config calls `results`."
        )
    return found


def inventory(results: Path) -> pd.DataFrame:
    """What the row stores hold: one row per batch (task, model) and a total.

    ``rows`` counts each request once, ``MB`` (10^6 bytes) all files; tokens are those of the rows.
    """
    rows = []
    for folder in stores(results):
        count = {"rows": 0, "prompt_tokens": 0, "completion_tokens": 0, "cost_usd": 0.0}
        seen: set[str] = set()
        for record in RowStore(folder, set_aside=False).records():
            if record["request_id"] not in seen:
                seen.add(record["request_id"])
                count["rows"] += 1
                for name in ("prompt_tokens", "completion_tokens", "cost_usd"):
                    count[name] += record[name] or 0
        size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        rows.append({"task": folder.parent.name, "model": folder.name, **count, "MB": size / 1e6})
    frame = pd.DataFrame(rows)
    total = {"task": "total", "model": "", **frame.select_dtypes("number").sum()}
    return pd.concat([frame, pd.DataFrame([total])], ignore_index=True).astype(dict.fromkeys(WHOLE, int))


def faults(results: Path) -> list[str]:
    """What is wrong in the row stores, a line each; nothing is changed."""
    found: list[str] = []
    for folder in stores(results):
        for _ in RowStore(folder, report=found.append, set_aside=False).records():
            pass
        found += [f"{path}: was set aside as corrupt" for path in sorted(folder.glob("*.corrupt-*"))]
    return found


@dataclass
class Pruned:
    """What a row store would lose, and how many bytes that frees."""

    folder: Path
    rows: int = 0
    kept: int = 0
    bytes: int = 0


def needed(plan: Plan, results: Path) -> dict[Path, set[str]]:
    """Request ids of every batch of a configuration, by the folder of its row store.

    Raises
    ------
    StoreError
        A file of requests is not there: pruning by half of the requests would throw away paid answers.
    """
    ids: dict[Path, set[str]] = {}
    for (task, name), stems in plan.batches().items():
        wanted = ids.setdefault(results / "store" / task / name, set())
        for stem in stems:
            path = results / "requests" / task / f"{stem}.parquet"
            if not path.is_file():
                raise StoreError(f"{path}: is not made yet, so what it needs is not known. Finish the run, then prune.")
            wanted.update(read_table(path, REQUESTS, ["request_id"]).column("request_id").drop_null().to_pylist())
    return ids


def _ids(folder: Path) -> set[str]:
    """Request ids of what a row store holds; it is only looked at."""
    return {record["request_id"] for record in RowStore(folder, set_aside=False).records()}


def prune(plan: Plan, results: Path, delete: bool) -> Iterator[Pruned]:
    """Take out of every row store what no request of the configuration needs.

    Parameters
    ----------
    delete : do it; without, only say what would go

    Raises
    ------
    StoreError
        A store is being written, or requests are missing (then nothing has been changed).
    """
    wanted = needed(plan, results)
    for folder in stores(results):
        pruned = Pruned(folder)
        before = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        if folder not in wanted:
            pruned.rows = len(_ids(folder))
            pruned.bytes = before
            if delete:
                with RowStore(folder, patience_s=0):
                    pass
                shutil.rmtree(folder)
        elif delete:
            with RowStore(folder, patience_s=0) as store:
                pruned.rows, pruned.kept = store.keep_only(wanted[folder])
            pruned.bytes = before - sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        else:
            ids = _ids(folder)
            pruned.kept = len(ids & wanted[folder])
            pruned.rows = len(ids) - pruned.kept
        yield pruned


def add_command(commands: Any) -> None:
    """Add ``store`` to the command line."""
    parser = commands.add_parser(
        "store", help="look at, verify or prune the row stores", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="show    rows, tokens and bytes by batch\n"
        "verify  check every record; exit code 1 where one is damaged\n"
        "prune   list what no current request needs; with --yes, remove it",
    )  # fmt: skip
    parser.add_argument("action", choices=["show", "verify", "prune"])
    parser.add_argument(
        "results", nargs="?", default="results", type=Path, help="results folder (default: %(default)s)"
    )
    parser.add_argument(
        "--configfile", default="config/config.yaml", help="prune: whose requests (default: %(default)s)"
    )
    parser.add_argument("--yes", action="store_true", help="prune: remove, do not only list")


def run_command(given: argparse.Namespace) -> int:
    """Do what ``polypref store`` was asked for.

    Raises
    ------
    StoreError, ConfigError
    """
    if given.action == "show":
        print(inventory(given.results).to_string(index=False, formatters=COLUMNS))
        return 0
    if given.action == "verify":
        found = faults(given.results)
        print("\n".join(found) if found else f"every record in {given.results / 'store'} is sound")
        return 1 if found else 0
    try:
        raw = yaml.safe_load(Path(given.configfile).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{given.configfile}: can't be read ({error}). Name it with --configfile.") from None
    plan = Plan(load_config(raw, ROOT), read_languages(ROOT))
    total = 0
    for pruned in prune(plan, given.results, given.yes):
        total += pruned.rows
        freed = f", {pruned.bytes / 1e6:,.2f} MB" if pruned.bytes else ""
        print(f"{pruned.folder}: {pruned.rows:,} rows are not needed{freed}, {pruned.kept:,} are")
    print(f"{total:,} rows {'were removed' if given.yes else 'can go: --yes removes them'}")
    return 0
