"""A database in a private file that takes no memory."""

import sqlite3

import pytest

from proxy_policies.capture.files.temporary_database import TemporaryDatabase, from_blob, to_blob

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
