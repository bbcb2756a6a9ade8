"""A capture as it grows: whole after each entry, mended when torn, one writer at a time."""

import json
from pathlib import Path

import pytest
from tests.support.capture_entries import an_entry

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.har import reader, writer
from proxy_policies.capture.model import Body, Entry, Request, Response, Times


def test_an_empty_capture_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    writer.create(path, writer.new_log()).close()
    assert list(reader.open_capture(path)) == []
    assert json.loads(path.read_bytes())["log"]["entries"] == []


def test_torn_at_every_octet_it_is_refused_then_mended(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    with writer.create(path, writer.new_log()) as out:
        out.write(an_entry(1))
        first = path.stat().st_size
        out.write(an_entry(2))
        second = path.stat().st_size
    data = path.read_bytes()
    head = data.index(b"\n") + 1
    for cut in range(head, second, 7):
        path.write_bytes(data[:cut])
        with pytest.raises(CaptureError, match="cut off"):
            reader.open_capture(path)
        writer.resume(path, writer.new_log()).close()
        assert [entry.id for entry in reader.open_capture(path)] == (["1"] if cut >= first else [])


def test_a_resumed_capture_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    for number in (1, 2, 3):
        with writer.resume(path, writer.new_log()) as out:
            out.write(an_entry(number))
    assert [entry.id for entry in reader.open_capture(path)] == ["1", "2", "3"]


def test_two_recorders_of_one_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    with (
        writer.resume(path, writer.new_log()),
        pytest.raises(CaptureError, match="another process is recording"),
    ):
        writer.resume(path, writer.new_log())


def test_nothing_is_added_to_a_foreign_har(tmp_path: Path) -> None:
    path = tmp_path / "chrome.har"
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": []}}, indent=2))
    before = path.read_bytes()
    with pytest.raises(CaptureError, match="not written by this program"):
        writer.resume(path, writer.new_log())
    assert path.read_bytes() == before


def test_large_bodies_go_beside_the_file_by_hash(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    large = Entry(Request("GET", "http://a.test/"), Response(200, body=Body(b"x" * 5000)), Times(1.7e9))
    with writer.create(path, writer.new_log(), bodies_over=1000) as out:
        out.write(large)
        out.write(large)
    assert path.stat().st_size < 4000
    assert len(list((tmp_path / "a.har.bodies").iterdir())) == 1
    assert list(reader.open_capture(path)) == [large, large]


def test_a_failed_rewrite_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    path.write_text("before")

    def some() -> object:
        yield an_entry()
        raise CaptureError("no")

    with pytest.raises(CaptureError):
        writer.rewrite(path, writer.new_log(), some())  # type: ignore[arg-type]
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
