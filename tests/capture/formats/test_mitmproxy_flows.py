"""Entries become flows of mitmproxy's and entries again, and nothing that a flow can hold is lost."""

import gzip
import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.test import tflow
from tests.support.capture_entries import an_entry, headers, messages, moments, octets

from proxy_policies.capture.bodies.content_coding import from_wire
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.formats.mitmproxy_flows import (
    connection_info_of,
    from_flow,
    read_flow_file,
    to_flow,
    version_of,
    write_flow_file,
)
from proxy_policies.capture.model import Body, Entry, Request, Response, Times

targets = st.sampled_from([
    ("http://shop.test/", ""), ("https://shop.test/a%20b?x=%C3%BC&x", ""), ("http://shop.test:8080/a;b?c/d", ""),
    ("https://[::1]:8443/", ""), ("http://shop.test/\xc3\xbc?\xff", ""), ("http://shop.test", "*"),
])  # fmt: skip
coded = st.sampled_from([(), (("Content-Encoding", "gzip"),), (("Content-Encoding", "x-odd"),)])
raws = st.binary(max_size=20) | st.binary(max_size=20).map(lambda content: gzip.compress(content, mtime=0))
versions = st.sampled_from(["HTTP/1.0", "HTTP/1.1"])
requests = st.builds(
    lambda method, target, fields, coding, raw, version, trailers: Request(
        method, target[0], (*fields, *coding), from_wire(raw, coding), version, trailers, target[1]
    ),
    *(st.sampled_from(["GET", "post", "BR\xff"]), targets, headers, coded, raws, versions, headers),
)
responses = st.builds(
    lambda status, reason, fields, coding, raw, version, trailers: Response(
        status, reason, (*fields, *coding), from_wire(raw, coding), version, trailers
    ),
    *(st.integers(100, 599), octets, headers, coded, raws, versions, headers),
)
recorded_messages = messages.map(lambda message: replace(message, dropped=0))  # a flow cannot say what was left out
entries = st.builds(
    Entry,
    requests,
    responses,
    st.builds(Times, moments, moments, moments, moments),
    id=st.uuids().map(str),
    messages=st.lists(recorded_messages, min_size=1, max_size=3).map(tuple),
    close_code=st.none() | st.integers(1000, 4999),
    close_reason=st.text(max_size=8),
    closed_by_client=st.none() | st.booleans(),
    error=st.text(max_size=8),
    comment=st.text(max_size=8),
    trace=st.lists(st.dictionaries(st.text(max_size=5), st.integers(), min_size=1), max_size=2).map(tuple),
)


@given(entries)
def test_an_entry_is_the_same_after_it_was_a_flow(entry: Entry) -> None:
    file = io.BytesIO()
    assert write_flow_file(file, iter([entry])) == 1
    made = from_flow(to_flow(entry))
    assert replace(made, connection_info={}) == entry


def test_a_flow_file_has_all_entries(tmp_path: Path) -> None:
    path = tmp_path / "a.mitm"
    some = [an_entry(number) for number in range(3)]
    with path.open("wb") as file:
        assert write_flow_file(file, iter(some)) == 3
    assert [entry.response for entry in read_flow_file(path)] == [entry.response for entry in some]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CaptureError, match=r"a\.mitm: not a whole flow file: "):
        list(read_flow_file(path))


def test_an_entry_that_no_flow_can_hold_is_named() -> None:
    wrong = replace(an_entry(), request=Request("GET", "http://a.test:99999/"))
    with pytest.raises(CaptureError, match=r"^entry 2: http://a\.test:99999/: "):
        write_flow_file(io.BytesIO(), iter([an_entry(), wrong]))


def test_a_flow_without_an_answer_says_why() -> None:
    entry = from_flow(tflow.tflow(err=True))
    assert (entry.response, entry.error) == (Response(0), "error")
    assert to_flow(entry).response is None


def test_who_was_connected_is_kept() -> None:
    flow = tflow.tflow(resp=True)
    flow.server_conn.peername = ("10.0.0.1", 443)
    flow.server_conn.timestamp_tls_setup, flow.server_conn.tls_version = 1.0, "TLSv1.3"
    flow.server_conn.alpn, flow.server_conn.sni = b"h2", "a.test"
    info = connection_info_of(flow)
    assert info["server_ip"] == "10.0.0.1"
    assert info["server"] == {"tls": "TLSv1.3", "alpn": "h2", "sni": "a.test", "address": "10.0.0.1:443"}
    assert info["client"]["address"] == "127.0.0.1:22"


def test_messages_that_a_script_dropped_were_not_said() -> None:
    flow = tflow.twebsocketflow()
    assert flow.websocket
    said = len(from_flow(flow).messages)
    flow.websocket.messages[0].drop()
    assert len(from_flow(flow).messages) == said - 1


@pytest.mark.parametrize(("text", "ours"), [("HTTP/2.0", "HTTP/2"), ("HTTP/1.1", "HTTP/1.1"), ("HTTP/3", "HTTP/3")])
def test_versions_are_written_one_way(text: str, ours: str) -> None:
    assert version_of(text) == ours


def test_a_body_that_was_edited_is_coded_anew() -> None:
    fields = (("Content-Encoding", "gzip"),)
    flow = to_flow(replace(an_entry(), response=Response(200, "OK", fields, Body(b"edited"))))
    assert flow.response
    assert gzip.decompress(flow.response.raw_content or b"") == b"edited"


@pytest.mark.parametrize(
    "url",
    [
        *("ws://shop.test/chat", "wss://shop.test/chat?a=1", "ws://shop.test:443/", "wss://shop.test:80/"),
        *("wss://shop.test:4430/", "ws://[::1]/", "wss://[::1]:80/", "http://shop.test:443/"),
    ],
)
def test_a_url_is_the_same_after_it_was_a_flow(url: str) -> None:
    found = from_flow(to_flow(replace(an_entry(1), request=Request("GET", url)))).request
    assert (found.url, found.target) == (url, "")


def test_lines_that_an_addon_has_set_are_read() -> None:
    flow = tflow.tflow(resp=True)
    assert flow.response is not None
    flow.response.headers.fields = ([b"x-list", b"a"], (b"x-tuple", b"b"))  # type: ignore[assignment]
    assert from_flow(flow).response.headers == (("x-list", "a"), ("x-tuple", "b"))
