"""HAR that is framed by lines: whole entries are found, and what is torn is not one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.har import line_framing

ENTRY: dict[str, Any] = {"request": {"headers": [{"name": "a", "value": "b\u2028\ud800"}], "url": "x" * 80}, "n": [1]}
FILE = line_framing.joined([line_framing.entry_lines(ENTRY)] * 2, first=True)
ENDS = [FILE.index(b"\n}\n") + 3, len(FILE)]


def found(data: bytes) -> list[tuple[bytes, int]]:
    return list(line_framing.entries(data.splitlines(keepends=True)))


def test_entries_are_read_as_they_were_written() -> None:
    assert [(json.loads(text), after) for text, after in found(FILE + line_framing.TAIL)] == [
        (ENTRY, ENDS[0]),
        (ENTRY, ENDS[1]),
    ]


@given(st.integers(0, len(FILE) - 1))
def test_of_a_torn_file_the_whole_entries_are_read(length: int) -> None:
    assert [after for _, after in found(FILE[:length])] == [end for end in ENDS if end <= length]


@pytest.mark.parametrize("line", [b"junk\n", b" inner\n", b"}\n", b",\n", b"\n"])
def test_what_is_no_entry_ends_them(line: bytes) -> None:
    assert [after for _, after in found(FILE + line + FILE)] == ENDS
    assert [after for _, after in found(line + FILE)] == []


def test_an_entry_may_be_one_line() -> None:
    assert [text for text, _ in found(b'{"a": 1}\n,{"b": 2}\n]}}\n')] == [b'{"a": 1}\n', b'{"b": 2}\n']


@pytest.mark.parametrize("log", [{"version": "1.2", "entries": [1]}, {}])
def test_the_head_is_the_log_without_its_entries(log: dict[str, Any]) -> None:
    assert line_framing.read_head(line_framing.head_line(log)) == {n: v for n, v in log.items() if n != "entries"}


@pytest.mark.parametrize("line", [b"", b"{}", b'{"log": 3, "entries": [', b'{"log": {"a": "entries": ['])
def test_another_first_line_is_no_head(line: bytes) -> None:
    assert line_framing.read_head(line) is None


@pytest.mark.parametrize("value", ["v", 'a"b\u2028', 1, True, None, ["x"], {"y": 1}])
def test_a_pair_is_written_as_what_it_is(value: Any) -> None:
    entry = {"a": {"headers": [{"name": "n", "value": value}, {"value": value, "name": "n"}]}}
    for _ in range(2):  # what is remembered of the first does not change the second
        [(text, _)] = found(line_framing.joined([line_framing.entry_lines(entry)], first=True))
        assert json.loads(text) == entry
        assert list(json.loads(text)["a"]["headers"][1]) == ["value", "name"]


@pytest.mark.parametrize("other", ["plain", "\ud800", 1 << 70])
def test_a_header_field_is_one_line_whatever_else_there_is(other: Any) -> None:
    headers = line_framing.Pairs([("Accept", "*/*"), ("X-Quote", '"\\\n{')])
    lines = line_framing.entry_lines({"request": {"headers": headers}, "other": other})
    assert json.loads(lines) == {"request": {"headers": [*headers]}, "other": other}
    assert b'\n      {"name": "Accept", "value": "*/*"},\n' in lines
    assert len(lines.splitlines()) == 9


@pytest.mark.parametrize("other", ["plain", "\ud800", 1 << 70])
def test_a_number_that_json_does_not_have_is_null(other: Any) -> None:
    lines = line_framing.entry_lines({"a": float("nan"), "b": [float("-inf")], "other": other})
    assert json.loads(lines) == {"a": None, "b": [None], "other": other}
