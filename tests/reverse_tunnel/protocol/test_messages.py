"""Messages are read as they were written, and invalid ones are rejected."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.reverse_tunnel.protocol.frames import FrameKind, Parser, frame
from proxy_policies.reverse_tunnel.protocol.messages import (
    Begin,
    Challenge,
    Claim,
    Hello,
    Message,
    Offer,
    ProtocolError,
    Prove,
    Ready,
    Reason,
    Refuse,
    Spare,
    Use,
    Welcome,
    decode,
    encode,
)
from proxy_policies.reverse_tunnel.protocol.services import MAX_SERVICES, MAX_SPARES

TOKEN, NONCE = "t" * 43, "ab" * 32

EXAMPLES: list[Message] = [
    Hello("office", NONCE, 4.0),
    Hello("office", NONCE, 4, version=7, capabilities=("udp", "x"), protocol="other"),
    Challenge(NONCE, 0.5),
    Prove(""),
    Prove(NONCE),
    Welcome(NONCE, "paris"),
    Offer(("ssh", "wiki"), 2),
    Offer(()),
    Begin(TOKEN, "ssh", ("192.0.2.1", 50000), ("::1", 9001)),
    Begin(TOKEN, "ssh"),
    Spare(TOKEN),
    Refuse(Reason.TIMEOUT, "student00:22", TOKEN),
    Refuse(Reason.REPLACED),
    Claim("office", TOKEN),
    Use("wiki", ("192.0.2.1", 1), None),
    Ready(),
]


def named(message: Message) -> str:
    return type(message).__name__


@pytest.mark.parametrize("message", EXAMPLES, ids=named)
def test_round_trip(message: Message) -> None:
    assert [decode(*f) for f in Parser().feed(encode(message))] == [message]


@pytest.mark.parametrize("message", EXAMPLES, ids=named)
def test_byte_by_byte(message: Message) -> None:
    parser, wire = Parser(), encode(message) * 2
    frames = [f for i in range(len(wire)) for f in parser.feed(wire[i : i + 1])]
    assert [decode(*f) for f in frames] == [message, message]


def test_all_that_a_work_may_offer_is_one_message() -> None:
    offer = Offer(tuple(f"{number:063d}" for number in range(MAX_SERVICES)), MAX_SPARES)
    assert [decode(*f) for f in Parser().feed(encode(offer))] == [offer]


def test_a_field_of_a_later_version_is_passed_over() -> None:
    assert decode(18, b'{"proof":"","colour":"red"}') == Prove("")


def test_a_broken_off_stream_reads_as_a_refusal() -> None:
    assert decode(FrameKind.RST, b"gone") == Refuse(Reason.PROTOCOL, "gone")


def test_a_reason_of_a_later_version_is_still_a_refusal() -> None:
    assert decode(23, b'{"reason":"full moon"}') == Refuse(Reason.PROTOCOL)


BAD: dict[str, tuple[int, bytes]] = {
    "unknown type": (99, b"{}"),
    "data": (FrameKind.DATA, b"{}"),
    "http": (ord("G"), b"ET / HTTP/1.1"),
    "no json": (18, b"proof"),
    "no utf-8": (18, b"\xff\xfe\xfd"),
    "no object": (18, b"[]"),
    "deeply nested": (18, b"[" * 16000),
    "missing field": (18, b"{}"),
    "wrong type": (18, b'{"proof":5}'),
    "bad proof": (18, b'{"proof":"zz"}'),
    "bad name": (24, b'{"work":"../x","token":"%s"}' % TOKEN.encode()),
    "short token": (24, b'{"work":"office","token":"abc"}'),
    "bool as number": (20, b'{"services":[],"spares":true}'),
    "negative": (20, b'{"services":[],"spares":-1}'),
    "not a list": (20, b'{"services":"ssh"}'),
    "too many services": (20, json.dumps({"services": ["s"] * 257}).encode()),
    "bad address": (25, b'{"service":"ssh","client":["h"]}'),
    "bad port": (25, b'{"service":"ssh","client":["h",70000]}'),
    "nan": (17, b'{"nonce":"%s","heartbeat":NaN}' % NONCE.encode()),
    "no time": (17, b'{"nonce":"%s","heartbeat":0}' % NONCE.encode()),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_bad_messages(bad: tuple[int, bytes]) -> None:
    with pytest.raises(ProtocolError):
        decode(*bad)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from(sorted({name for message in EXAMPLES for name in asdict(message)}))
VALUES = JSON | st.sampled_from([NONCE, TOKEN, "office", 1, ["ssh"], ["::1", 5]])


@given(st.integers(0, 40), st.dictionaries(FIELDS, VALUES, max_size=8))
def test_any_object_is_a_message_or_a_protocol_error(kind: int, fields: dict[str, Any]) -> None:
    try:
        message = decode(kind, json.dumps(fields).encode())
    except ProtocolError:
        return
    if kind != FrameKind.RST:
        assert [decode(*f) for f in Parser().feed(encode(message))] == [message]


@given(st.integers(0, 255), st.binary(max_size=80))
def test_any_bytes_are_a_message_or_a_protocol_error(kind: int, payload: bytes) -> None:
    for found in Parser().feed(frame(kind, payload)):
        with contextlib.suppress(ProtocolError):
            decode(*found)
