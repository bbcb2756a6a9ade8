"""A database in a private file that takes no memory, and a mapping that is the same however much of it is there."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.files import temporary_database
from proxy_policies.capture.files.temporary_database import SpilledMapping, TemporaryDatabase, from_blob, to_blob

TABLE = "CREATE TABLE texts (value BLOB)"


def test_it_keeps_any_text() -> None:
    table = TemporaryDatabase(TABLE)
    texts = ["", "\0", "\ud800", "ü"]
    for text in texts:
        assert table.execute("INSERT INTO texts VALUES (?)", (to_blob(text),)) == []
    assert [from_blob(octets) for (octets,) in table.rows("SELECT value FROM texts ORDER BY rowid")] == texts


def test_a_full_disk_is_an_oserror() -> None:
    table = TemporaryDatabase(TABLE)
    table.execute("PRAGMA max_page_count = 5")
    with pytest.raises(OSError, match="no room for a temporary file: database or disk is full"):
        table.execute("INSERT INTO texts VALUES (?)", (b"x" * 100_000,))


def test_its_file_has_no_name_and_is_closed() -> None:
    table = TemporaryDatabase(TABLE)
    assert table.execute("PRAGMA database_list") == [(0, "main", "")]
    table.close()
    with pytest.raises(sqlite3.ProgrammingError):
        table.execute("SELECT value FROM texts")


NAMES = st.sampled_from(["a", "b", "c", "d", "\ud800", ""])


@given(st.lists(st.tuples(NAMES, st.none() | st.text(max_size=2))), st.integers(0, 3))
def test_it_is_a_mapping(steps: list[tuple[str, str | None]], kept: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(temporary_database, "MAX_IN_MEMORY", kept)
        mapping, expected = SpilledMapping(), dict[str, str]()
        for name, value in steps:
            if value is None:
                assert mapping.get(name) == expected.get(name)
            else:
                mapping.put(name, value)
                expected[name] = value
        assert {name: mapping.get(name) for name in expected} == expected
