"""A line is one line, whatever a client said, and says what happened."""

import json
import re
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy_policies.access_log.formats import FORMATS, CombinedFormat, JsonFormat
from proxy_policies.addresses import SocketAddress
from proxy_policies.finished.reporting import Item, Record
from proxy_policies.flows.request_summary import RequestSummary

COMBINED = re.compile(r'(\S+) - (\S+) \[([^\]\s]+ [+-]\d{4})\] "([^"]*)" (\d{3}) (\d+) "([^"]*)" "([^"]*)"\n')
"""As analysers of logs read it."""
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    return text


def again(record: Record, client: SocketAddress = ("::1", 1), at: float = 0.0) -> Item:
    """Return the same response sent again."""
    return record.repeated(), client, at


def a_request(**values: Any) -> Record:
    request = RequestSummary(b"GET", b"/a?b", b"HTTP/1.1", b"host:80", b"http://from/", b"Browser/1")
    made = Record(request, ("192.0.2.1", 5555), 1_700_000_000.25, 0.5, 200, 1234, 0)
    for name, value in values.items():
        setattr(made, name, value)
    return made


said = [
    b'a" 200 1 "',
    b"\r\nGET /forged HTTP/1.1",
    b"\x1b[2J",
    b"\\x22",
    b"\xc2\x9b31m",
    "\u2028\u202e".encode(),
    b"a\x00b",
]
octets = st.binary(max_size=60) | st.sampled_from(said)
texts = octets.map(lambda data: data.decode("utf-8", "surrogateescape"))
requests = st.builds(
    Record,
    request=st.builds(RequestSummary, octets, octets, octets, octets, octets, octets),
    client=st.none() | st.tuples(st.sampled_from(["192.0.2.1", "fe80::1%eth0"]), st.integers(0, 65535)),
    started=st.floats(0, 4e9),
    seconds=st.floats(-1, 1e6),
    status=st.integers(0, 999),
    sent=st.none() | st.integers(0, 1 << 60),
    user=texts,
    encoding=texts,
    upstream=st.none() | st.tuples(texts, st.integers(0, 65535)),
    error=texts,
)


@given(requests, st.sampled_from([None, ("::1", 9)]))
@example(
    Record(RequestSummary(), None, 0.0, -1e-167, 0), None
)  # ends so shortly before a second that they differ by 1.0
def test_nothing_that_is_said_makes_a_line_or_is_obeyed(record: Record, client: SocketAddress | None) -> None:
    for name, kind in FORMATS.items():
        written = kind(plain)
        for item in (record.item, again(record, client or ("192.0.2.1", 1), 7.0)):
            line = written.lines([item]).decode("ascii")
            assert line.index("\n") == len(line) - 1
            assert UNSAFE.search(line[:-1]) is None
            if name == "json":
                assert not any(UNSAFE.search(value) for value in json.loads(line).values() if isinstance(value, str))
            else:
                assert COMBINED.fullmatch(line)


def test_json() -> None:
    record = a_request(cache="uri-miss", encoding="br", upstream=("10.0.0.1", 80), upstream_seconds=0.25, user="ann")
    assert json.loads(JsonFormat(plain).lines([record.item])) == {
        "time": "2023-11-14T22:13:20.750Z",
        "client": "192.0.2.1:5555",
        "type": "request",
        "user": "ann",
        "request": "GET /a?b HTTP/1.1",
        "host": "host:80",
        "status": 200,
        "bytes": 1234,
        "bytes_received": 0,
        "seconds": 0.5,
        "connect_seconds": None,
        "upstream_seconds": 0.25,
        "cache": "uri-miss",
        "encoding": "br",
        "upstream": "10.0.0.1:80",
        "referer": "http://from/",
        "user_agent": "Browser/1",
        "error": None,
    }


def test_what_is_answered_again_differs_in_client_and_time_only() -> None:
    written, record = JsonFormat(plain), a_request(cache="hit")
    once = json.loads(written.lines([record.item]))
    for client in (("::1", 1), ("192.0.2.9", 2)):
        twice = json.loads(written.lines([again(record, client, 1_700_000_009.5)]))
        assert twice["time"] == "2023-11-14T22:13:29.500Z"
        assert twice["client"] == ("[::1]:1" if client[0] == "::1" else "192.0.2.9:2")
        assert twice == {**once, "time": twice["time"], "client": twice["client"], "seconds": 0.0}


@pytest.mark.parametrize(("zone", "at", "local"), [("UTC", 20, "22:13:20 +0000"), ("EST+5", 21, "17:13:21 -0500")])
def test_combined(monkeypatch: pytest.MonkeyPatch, zone: str, at: int, local: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        line = CombinedFormat(plain).lines([a_request(user="ann b", started=1_699_999_980.0 + at - 0.5).item])
    finally:
        monkeypatch.undo()
        time.tzset()
    assert line.decode() == (
        f'192.0.2.1 - ann\\x20b [14/Nov/2023:{local}] "GET /a?b HTTP/1.1" 200 1234 "http://from/" "Browser/1"\n'
    )


def test_what_was_no_request_is_a_line_too() -> None:
    record = Record(RequestSummary(), None, 0, 0, 400)
    assert json.loads(JsonFormat(plain).lines([record.item]))["request"] is None
    assert b' "-" 400 0 "-" "-"\n' in CombinedFormat(plain).lines([record.item])


@pytest.mark.parametrize("kind", FORMATS.values())
def test_lines_of_many_are_those_of_each(kind: Any) -> None:
    record = a_request()
    items = [
        record.item,
        again(record, at=2.0),
        again(record, ("::1", 2), 2.0),
        record.item,
        again(record),
        a_request(started=0).item,
    ]
    assert kind(plain).lines(items) == b"".join([kind(plain).lines([item]) for item in items])


def test_secrets_are_masked_wherever_a_client_says_something() -> None:
    record = a_request(error="SECRET", user="SECRET")
    record.request = RequestSummary(b"GET", b"/SECRET", b"HTTP/1.1", b"SECRET", b"SECRET", b"SECRET")
    for kind in FORMATS.values():
        written = kind(lambda text: text.replace("SECRET", "-"))
        assert b"SECRET" not in written.lines([record.item, again(record)])
