"""Content codings are undone for reading, and what was on the wire is sent again."""

import gzip
import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.bodies.content_coding import ENCODERS, decode_bodies, encode, from_wire, is_encoded, to_wire
from proxy_policies.capture.model import Body, Entry, Headers, Request, Response, Times

codings = st.lists(st.sampled_from(sorted(ENCODERS)), max_size=3).map(", ".join)
CONTENT = b"said again and again " * 50


def coded(content_encoding: str) -> Headers:
    return (("Content-Encoding", content_encoding),) if content_encoding else ()


@given(st.binary(max_size=200), codings)
def test_what_was_encoded_is_decoded_and_sent_as_it_came(content: bytes, content_encoding: str) -> None:
    wire = encode(content, content_encoding)
    assert wire is not None
    body = from_wire(wire, coded(content_encoding))
    assert body.content == content
    assert to_wire(body, coded(content_encoding)) == wire
    edited = Body(content + b"!")
    assert from_wire(to_wire(edited, coded(content_encoding)), coded(content_encoding)).content == content + b"!"


@given(st.binary(max_size=60), codings | st.sampled_from(["x-odd", "gzip, x-odd", ",", "GZIP"]))
def test_no_octet_of_what_came_is_lost(raw: bytes, content_encoding: str) -> None:
    assert to_wire(from_wire(raw, coded(content_encoding)), coded(content_encoding)) == raw


def test_an_unknown_coding_is_not_applied() -> None:
    assert encode(CONTENT, "gzip, x-odd") is None
    assert encode(b"", "x-odd") == b""
    assert to_wire(Body(CONTENT), coded("x-odd")) == CONTENT


@pytest.mark.parametrize("content_encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
def test_what_decodes_to_too_much_is_named_by_its_hash(content_encoding: str) -> None:
    raw = encode(bytes(1 << 20), content_encoding)
    assert raw is not None
    body = from_wire(raw, coded(content_encoding), limit=1 << 16)
    assert body == Body(dropped=len(raw), sha256=hashlib.sha256(raw).hexdigest())


PACKED = gzip.compress(CONTENT, mtime=0)
BODIES = {
    "whole": (Body(PACKED), Body(CONTENT, wire=PACKED)),
    "plain though it says gzip": (Body(b"plain"), Body(b"plain", wire=b"plain")),
    "dropped": (Body(PACKED[:9], dropped=9), Body(PACKED[:9], dropped=9)),
    "cut, and not packed": (Body(b"plain", cut="server"), Body(b"plain", wire=b"plain", cut="server")),
}


@pytest.mark.parametrize(("sent", "kept"), BODIES.values(), ids=BODIES)
def test_every_body_of_an_entry_is_decoded(sent: Body, kept: Body) -> None:
    response = Response(200, "OK", coded("gzip"), sent)
    entry = Entry(Request("POST", "http://a.test/", coded("gzip"), sent), response, Times(1.0), origin=response)
    done = decode_bodies(entry, 1 << 20)
    assert done.origin is not None
    assert (done.request.body, done.response.body, done.origin.body) == (kept, kept, kept)


def test_of_a_body_that_was_cut_the_beginning_is_read() -> None:
    response = Response(200, "OK", coded("gzip"), Body(PACKED[:-12], cut="client"))
    body = decode_bodies(Entry(Request("GET", "http://a.test/"), response, Times(1.0)), 1 << 20).response.body
    assert CONTENT.startswith(body.content)
    assert body.content
    assert (body.wire, body.cut) == (PACKED[:-12], "client")


def test_only_a_coded_body_may_take_long() -> None:
    response = Response(200, "OK", coded("gzip"), Body(PACKED))
    assert is_encoded(response)
    assert not is_encoded(replace(response, body=Body()))
    assert not is_encoded(replace(response, headers=()))
