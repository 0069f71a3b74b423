"""Reading a row store without a lock: look up completions in journals and parts, and skip damaged records."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Container, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from polypref.files.columns import take_rows
from polypref.files.schemas import COMPLETIONS
from polypref.files.tables import batched
from polypref.requests.store_files import ROW_GROUP_SIZE, StoreError, parse_line, read_part, to_table


class StoreReader:
    """Completions by ``request_id``, read from the files of one folder.

    Parameters
    ----------
    folder : Path
    report : callable
        Called with one line for each damaged record or file.
    set_aside : bool
        Rename a part that can't be read, so that no later run tries to read it.
    """

    def __init__(self, folder: Path | str, report: Callable[[str], Any] = print, set_aside: bool = True) -> None:
        self.folder = Path(folder)
        self._report = report
        self._set_aside = set_aside

    def get(self, wanted: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return the stored completions of the wanted requests; the checksum of every record is verified."""
        wanted = set(wanted)
        found: dict[str, dict[str, Any]] = {}
        if not wanted:
            return found
        for table in self.tables(wanted=wanted):
            ids = table["request_id"].to_pylist()
            rows = [number for number, key in enumerate(ids) if key in wanted and key not in found]
            if rows:
                table = table if len(rows) == len(ids) else take_rows(table, rows)
                found.update((record["request_id"], record) for record in table.to_pylist())
        return found

    def tables(self, known: Collection[Path] = (), wanted: Container[str] | None = None) -> Iterator[pa.Table]:
        """Iterate over all undamaged records (COMPLETIONS) but those in known parts, some thousands at a time.

        A request that was completed twice occurs twice; the first record counts. With ``wanted``, only tables with one
        of these requests are of interest.
        """
        # Journals first: a journal that is sealed in the meantime is then read as a part.
        for journal in self.journals():
            for rows in batched(self._read_journal(journal), ROW_GROUP_SIZE):
                yield to_table((record for record, _ in rows), COMPLETIONS)
        for part in self.parts():
            if part not in known:
                yield from self._read_part(part, wanted)

    def records(self) -> Iterator[dict[str, Any]]:
        """Iterate over all undamaged records; a request that was completed twice occurs twice."""
        for table in self.tables():
            yield from table.to_pylist()

    def parts(self) -> list[Path]:
        """Sealed files, sorted by name."""
        return sorted(self.folder.glob("part-*.parquet"))

    def journals(self) -> list[Path]:
        """Files that are being written, or that a killed writer left behind, sorted by name."""
        return sorted(self.folder.glob("journal-*.jsonl"))

    def _read_part(self, part: Path, wanted: Container[str] | None = None) -> Iterator[pa.Table]:
        try:
            yield from read_part(part, self._report, wanted)
        except (pa.ArrowException, ValueError, OSError) as error:
            if getattr(error, "errno", None):  # an error of the file system does not mean that the part is damaged
                raise StoreError(
                    f"{part}: can't be read ({error.strerror}); make the file readable, then run again"
                ) from error
            self._rename_damaged(part, f"can't be read ({str(error).splitlines()[0]})")

    def _read_journal(self, journal: Path) -> Iterator[tuple[dict[str, Any], int]]:
        """Iterate over the undamaged records of a journal and their checksums."""
        # The file is missing if its writer has sealed it since the folder was listed.
        with contextlib.suppress(FileNotFoundError), open(journal, "rb") as file:
            for number, line in enumerate(file, 1):
                found = parse_line(line)
                if not line.endswith(b"\n"):  # the writer was killed, or is still writing this record
                    self._report(f"{journal}: the last record is incomplete; its request will be sent again")
                elif found is None:
                    self._report(
                        f"{journal}, line {number}: the checksum does not match; the request will be sent again"
                    )
                else:
                    yield found

    def _rename_damaged(self, part: Path, problem: str) -> None:
        if not self._set_aside:
            self._report(f"{part}: {problem}; the next run will rename the file and send its requests again")
            return
        renamed = part.with_name(f"{part.name}.corrupt-{int(time.time())}")
        with contextlib.suppress(OSError):  # in a read-only folder the part keeps its name, and is skipped
            os.replace(part, renamed)
        self._report(f"{part}: {problem}; renamed to {renamed.name}, and its requests will be sent again")
