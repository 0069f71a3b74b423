"""Repeated ids are found as with a dictionary, also when they do not fit into the cache."""

import pytest
from full_disk import room_for
from hypothesis import given, settings
from hypothesis import strategies as st

from polypref.files import first_rows
from polypref.files.tables import TableError


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=2) | st.integers(-(2**63), 2**63 - 1)))
def test_the_first_row_of_each_id_is_known(ids):
    known, expected = first_rows.FirstRows(), {}
    for row, item in enumerate(ids):
        assert known.add(item, row) == expected.get(item)
        expected.setdefault(item, row)


def test_more_ids_than_the_cache_has_room_for(monkeypatch):
    monkeypatch.setattr(first_rows, "CACHE", 1)
    known = first_rows.FirstRows()
    assert not any(known.add(f"{number * 7919 % 100_003:016x}", number) for number in range(1, 100_000))
    assert [known.add(f"{number * 7919 % 100_003:016x}", 0) for number in range(1, 100_000, 997)] == [
        *range(1, 100_000, 997)
    ]


def test_a_full_disk_is_one_message_with_the_remedy(monkeypatch):
    monkeypatch.setattr(first_rows, "CACHE", 1)
    known = first_rows.FirstRows()
    with room_for(500_000), pytest.raises(TableError, match=r"can't be written .*set TMPDIR"):
        for number in range(100_000):
            known.add(f"{number * 7919 % 100_003:016x}", number)
