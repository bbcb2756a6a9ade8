"""Entries by number, whatever the file is."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.capture_entries import an_entry, entries

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.har import writer
from proxy_policies.capture.har.entry_index import EntryIndex
from proxy_policies.capture.har.reader import open_capture
from proxy_policies.capture.model import Entry


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("index")


@given(st.lists(entries, max_size=3), st.booleans())
def test_an_entry_is_the_one_of_its_number(folder: Path, some: list[Entry], is_framed: bool) -> None:
    path = folder / "a.har"
    writer.rewrite(path, writer.new_log(), some)
    if not is_framed:
        path.write_bytes(path.read_bytes().replace(b"\n", b""))
    capture = open_capture(path)
    index = EntryIndex(capture)
    assert capture.framed is is_framed
    assert [index[number] for number in reversed(range(len(index)))] == list(reversed(list(capture)))
    assert list(index.requests()) == [entry.request for entry in capture]
    starts = [entry.times.request_start for entry in capture]
    assert list(index.by_time()) == sorted(range(len(starts)), key=starts.__getitem__)


def test_a_body_beside_the_file_is_fetched(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    writer.rewrite(path, writer.new_log(), [an_entry()], bodies_over=1)
    assert EntryIndex(open_capture(path))[0] == an_entry()


def test_a_file_that_has_changed_meanwhile_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    writer.rewrite(path, writer.new_log(), [an_entry(1), an_entry(2)])
    index = EntryIndex(open_capture(path))
    writer.rewrite(path, writer.new_log(), [an_entry(10)])
    with pytest.raises(CaptureError, match=r"^a\.har: entry 2: not JSON"):
        index[1]
    path.unlink()
    with pytest.raises(FileNotFoundError):
        index[0]
