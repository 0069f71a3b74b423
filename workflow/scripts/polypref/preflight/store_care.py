"""``polypref store``: show the contents of the row stores, verify their records, and prune unneeded ones."""

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
    """List the folders of all row stores.

    Raises
    ------
    StoreError
        There is no row store.
    """
    found = sorted(path for path in (results / "store").glob("*/*") if path.is_dir())
    if not found:
        raise StoreError(
            f"{results / 'store'}: there is no row store; give the folder that is `results` in the configuration"
        )
    return found


def inventory(results: Path) -> pd.DataFrame:
    """Tabulate the contents of the row stores: one row per batch (task, model), and a total.

    ``rows`` counts each request once, as do the tokens; ``MB`` (10^6 bytes) is the size of all files.
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
    """List the damaged records and files of the row stores, one line each, without changing anything."""
    found: list[str] = []
    for folder in stores(results):
        for _ in RowStore(folder, report=found.append, set_aside=False).records():
            pass
        found += [
            f"{path}: was renamed by an earlier run because it is damaged"
            for path in sorted(folder.glob("*.corrupt-*"))
        ]
    return found


@dataclass
class Pruned:
    """Rows that pruning removes from a row store and keeps in it, and the bytes that it frees."""

    folder: Path
    rows: int = 0
    kept: int = 0
    bytes: int = 0


def needed(plan: Plan, results: Path) -> dict[Path, set[str]]:
    """Collect the request ids of every batch of a configuration, by the folder of its row store.

    Raises
    ------
    StoreError
        A request file is missing. Pruning by only some of the requests would delete completions that cost money.
    """
    ids: dict[Path, set[str]] = {}
    for (task, name), stems in plan.batches().items():
        wanted = ids.setdefault(results / "store" / task / name, set())
        for stem in stems:
            path = results / "requests" / task / f"{stem}.parquet"
            if not path.is_file():
                raise StoreError(f"{path}: this request file does not exist yet; finish the run, then prune")
            wanted.update(read_table(path, REQUESTS, ["request_id"]).column("request_id").drop_null().to_pylist())
    return ids


def _ids(folder: Path) -> set[str]:
    """Collect the request ids in a row store without changing it."""
    return {record["request_id"] for record in RowStore(folder, set_aside=False).records()}


def prune(plan: Plan, results: Path, delete: bool) -> Iterator[Pruned]:
    """Remove from every row store the rows that no request of the configuration needs.

    Parameters
    ----------
    delete : remove the rows; if false, only count them

    Raises
    ------
    StoreError
        Another process is writing to a store, or request files are missing (then nothing has been changed).
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
        "store", help="show, verify or prune the row stores", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="show    tabulate rows, tokens and bytes by batch\n"
        "verify  check every record; exit code 1 if one is damaged\n"
        "prune   count the rows that no current request needs; with --yes, remove them",
    )  # fmt: skip
    parser.add_argument("action", choices=["show", "verify", "prune"])
    parser.add_argument(
        "results", nargs="?", default="results", type=Path, help="results folder (default: %(default)s)"
    )
    parser.add_argument(
        "--configfile",
        default="config/config.yaml",
        help="prune: configuration whose rows stay (default: %(default)s)",
    )
    parser.add_argument("--yes", action="store_true", help="prune: remove the rows")


def run_command(given: argparse.Namespace) -> int:
    """Run ``polypref store``.

    Raises
    ------
    StoreError, ConfigError
    """
    if given.action == "show":
        print(inventory(given.results).to_string(index=False, formatters=COLUMNS))
        return 0
    if given.action == "verify":
        found = faults(given.results)
        print("\n".join(found) if found else f"every record in {given.results / 'store'} is undamaged")
        return 1 if found else 0
    try:
        raw = yaml.safe_load(Path(given.configfile).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{given.configfile}: can't be read ({error}); give another file with --configfile") from None
    plan = Plan(load_config(raw, ROOT), read_languages(ROOT))
    total = 0
    for pruned in prune(plan, given.results, given.yes):
        total += pruned.rows
        freed = f", {pruned.bytes / 1e6:,.2f} MB" if pruned.bytes else ""
        print(f"{pruned.folder}: {pruned.rows:,} rows are not needed{freed}; {pruned.kept:,} rows are needed")
    print(f"{total:,} rows {'were removed' if given.yes else 'are not needed; run again with --yes to remove them'}")
    return 0
