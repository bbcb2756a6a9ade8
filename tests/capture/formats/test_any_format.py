"""A capture of any kind is opened as what it is."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.capture_entries import an_entry

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.formats.any_format import (
    entry_values,
    is_flow_file,
    is_har,
    merged_log,
    newest_first,
    open_any,
    open_by_time,
    open_source,
    same_key,
)
from proxy_policies.capture.formats.mitmproxy_flows import write_flow_file
from proxy_policies.capture.har import writer
from proxy_policies.capture.har.entry_writer import FORMAT, write_entry

ENTRIES = [an_entry(1), an_entry(2)]
CASSETTE = """interactions:
- request: {body: null, headers: {}, method: GET, uri: "http://shop.test/1"}
  response: {body: {string: '{"n": 1}'}, headers: {}, status: {code: 200, message: OK}}
- request: {body: null, headers: {}, method: GET, uri: "http://shop.test/2"}
  response: {body: {string: '{"n": 2}'}, headers: {}, status: {code: 200, message: OK}}
"""


def foreign() -> dict[str, Any]:
    entries = [{name: item for name, item in write_entry(one).items() if name[0] != "_"} for one in ENTRIES]
    return {"log": {"version": "1.2", "comment": "theirs", "entries": entries}}


def write_flows(path: Path) -> None:
    with path.open("wb") as file:
        write_flow_file(file, iter(ENTRIES))


KINDS: dict[str, tuple[Callable[[Path], object], bool]] = {
    "ours": (lambda path: writer.rewrite(path, writer.new_log("k1"), ENTRIES), True),
    "foreign": (lambda path: path.write_text(json.dumps(foreign())), True),
    "packed": (lambda path: path.write_bytes(gzip.compress(json.dumps(foreign()).encode())), False),
    "flows": (write_flows, False),
    "cassette": (lambda path: path.write_text(CASSETTE), False),
}


@pytest.mark.parametrize(("write", "is_plain_har"), KINDS.values(), ids=KINDS)
def test_every_kind_has_its_entries(write: Callable[[Path], object], is_plain_har: bool, tmp_path: Path) -> None:
    path = tmp_path / "capture"  # the ending says nothing
    write(path)
    problems: list[str] = []
    log, entries = open_any(path, problems)
    assert [(entry.request.url, entry.response.body.content) for entry in entries] == [
        (entry.request.url, entry.response.body.content) for entry in ENTRIES
    ]
    assert [entry.request.url for entry in open_by_time(path, [])[1]] == [entry.request.url for entry in ENTRIES]
    assert [entry.request.url for entry in newest_first(path)] == [entry.request.url for entry in reversed(ENTRIES)]
    assert log["_capture"]["format"] == FORMAT
    assert problems == []
    assert is_har(path) is is_plain_har


def test_only_our_own_entries_are_there_as_json(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    writer.rewrite(path, writer.new_log(), ENTRIES)
    assert [value["_id"] for value in entry_values(path) or ()] == ["1", "2"]
    path.write_text(json.dumps(foreign()))
    assert entry_values(path) is None


def test_problems_name_the_file_once_its_entries_are_read(tmp_path: Path) -> None:
    path, problems = tmp_path / "a.har", list[str]()
    path.write_text(json.dumps({"log": {"entries": [{"request": {"url": "about:blank"}}]}}))
    _, entries = open_any(path, problems)
    assert not problems
    assert list(entries) == []
    assert [problem.partition(",")[0] for problem in problems] == ["a.har: entry 1"]


@pytest.mark.parametrize(
    ("start", "is_one"), [(b"12:4:type;", True), (b"4:", True), (b":1", False), (b"", False), (b'{"log":', False)]
)
def test_a_flow_file_begins_with_a_length(start: bytes, is_one: bool, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(start)
    assert is_flow_file(path) is is_one


@pytest.mark.parametrize("content", [b"", b"5:nothing", b"\x00", b"interactions: 5", b"{}", b"[]", b"GET / HTTP/1.1\n"])
def test_what_is_no_capture_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=r"^[^\n]*/a[:,][^\n]*$"):
        list(open_source(path))


def test_captures_of_two_keys_do_not_become_one() -> None:
    none, one, other = writer.new_log(), writer.new_log("k1"), writer.new_log("k2")
    assert (same_key([none, one, one]), same_key([none]), same_key([])) == ("k1", "", "")
    with pytest.raises(CaptureError, match="redacted with different keys"):
        same_key([one, other])


def test_pages_of_two_files_are_both_kept_when_they_are_merged() -> None:
    one, other = {"pages": [{"id": "p", "title": "one"}]}, {"pages": [{"id": "p", "title": "two"}, {"id": "q"}]}
    log, renamed = merged_log([one, other], {"version": "1.2"})
    assert log["pages"] == [{"id": "p", "title": "one"}, {"id": "p-2", "title": "two"}, {"id": "q"}]
    assert renamed == [{}, {"p": "p-2"}]


def test_of_several_files_the_first_names_the_browser() -> None:
    logs = [{"creator": "x"}, {"browser": "B", "comment": "c"}, {"browser": "C"}]
    assert merged_log(logs, {"version": "1.2"})[0] == {"version": "1.2", "browser": "B", "comment": "c"}
