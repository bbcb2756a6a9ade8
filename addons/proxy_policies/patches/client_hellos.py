"""ClientHellos: bounded in size and number of pieces, and recognised whatever version their records state.

mitmproxy parses what has come of a ClientHello again for every piece, and waits for up to 16 MiB: the time it takes
grows with the square of what a client sends before its handshake, and all other clients wait for it.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from mitmproxy.addons import next_layer
from mitmproxy.proxy.layers import tls
from mitmproxy.proxy.layers.quic import _stream_layers

from proxy_policies.patch import Companion

MAX_SIZE = 64 * 1024
"""Bytes of a ClientHello, as in Envoy's TLS inspector and Go's crypto/tls; usual ones have 300 to 2000."""
MAX_RECORDS = 256
"""TLS records of one: usually one, with clients that split their server's name some ten."""
MAX_DATAGRAMS = 16
"""QUIC datagrams of one, repeated ones included: usually one or two."""
TOO_LONG = "it is too long"

type Contents = Callable[[bytes], Iterator[bytes]]


def _bounded(original: Contents) -> Contents:
    def handshake_record_contents(data: bytes) -> Iterator[bytes]:
        size = 0
        for number, content in enumerate(original(data), start=1):
            size += len(content)
            if number > MAX_RECORDS or size > MAX_SIZE:
                raise ValueError(TOO_LONG)
            yield content

    return handshake_record_contents


def _in_few_datagrams(original: Callable[[list[bytes]], Any]) -> Callable[[list[bytes]], Any]:
    def quic_parse_client_hello_from_datagrams(datagrams: list[bytes]) -> Any:
        if len(datagrams) > MAX_DATAGRAMS:
            raise ValueError(TOO_LONG)
        return original(datagrams)

    return quic_parse_client_hello_from_datagrams


_DTLS = re.compile(rb"\x16\xfe.", re.DOTALL)
_RECORD = re.compile(rb"\x16\x03.", re.DOTALL)
"""By its type and major version: servers ignore the rest (RFC 8446, section 5.1; DTLS: RFC 9147, section 4)."""
_OLD_HELLO = re.compile(rb"[\x80-\xff].\x01\x03", re.DOTALL)
"""In the form of SSL 2.0, which OpenSSL and GnuTLS accept (RFC 5246, section E.2), and mitmproxy cannot read."""


def starts_tls(data: bytes) -> bool:
    """Return whether a client speaks TLS, by its first bytes."""
    return bool(_RECORD.match(data) or _OLD_HELLO.match(data))


def may_start_tls(data: bytes) -> bool:
    """Return whether more data is needed to tell whether a client speaks TLS."""
    is_old = data[:1] >= b"\x80" and len(data) < 4 and b"\x01\x03".startswith(data[2:])
    return is_old or (data[:1] == b"\x16" and len(data) < 3)


def _is_record(data: bytes) -> bool:
    return _RECORD.match(data) is not None


def starts_dtls(data: bytes) -> bool:
    """Return whether a datagram is one of DTLS, by its first bytes."""
    return _DTLS.match(data) is not None


_SEEN_ON = "12.2.1 to 12.3.1"
_TESTS = "tests/patches/test_client_hellos.py"

COMPANIONS = (
    Companion(
        owner=tls,
        attribute="handshake_record_contents",
        wrap=_bounded,
        seen_on=_SEEN_ON,
        why="one client that sends a long ClientHello blocks all others",
        test=f"{_TESTS}::test_long_ones_are_refused_before_they_are_complete",
        source_sha256={_SEEN_ON: "d0d1ff82ae62de31238203e1c0727e831398fd17bc840cf95169a0c65b66edd5"},
    ),
    Companion(
        owner=tls,
        attribute="dtls_handshake_record_contents",
        wrap=_bounded,
        seen_on=_SEEN_ON,
        why="the same over DTLS",
        test=f"{_TESTS}::test_long_ones_are_refused_before_they_are_complete",
        source_sha256={_SEEN_ON: "7aa01cc2a2ef0c5c73e094d0a33193a48fad8f39f7786545b91faa9d72dc7a45"},
    ),
    Companion(
        owner=_stream_layers,
        attribute="quic_parse_client_hello_from_datagrams",
        wrap=_in_few_datagrams,
        seen_on=_SEEN_ON,
        why="the same over QUIC",
        test=f"{_TESTS}::test_one_over_quic_comes_in_few_datagrams",
        source_sha256={_SEEN_ON: "f1d653823e8c4f210919e25fc91e05c02af85f2c641c9e6c748c251df6b60452"},
    ),
    *(
        Companion(
            owner=module,
            attribute="starts_like_tls_record",
            wrap=wrap,
            seen_on=_SEEN_ON,
            why="TLS whose records state an unusual version, which servers ignore, or whose ClientHello has the form "
            "of SSL 2.0, is passed on without inspection",
            test=f"{_TESTS}::test_a_record_is_recognised_whatever_version_it_states",
            source_sha256={_SEEN_ON: "746bcfe337a71d3db4860c8c42cf2dc04f2d8a6c3977e6093cd01d88d1565435"},
        )
        for module, wrap in ((tls, lambda _: _is_record), (next_layer, lambda _: starts_tls))
    ),
    *(
        Companion(
            owner=module,
            attribute="starts_like_dtls_record",
            wrap=lambda _: starts_dtls,
            seen_on=_SEEN_ON,
            why="`reverse:dtls` takes the hello of OpenSSL's clients, whose version is DTLS 1.0, for data",
            test=f"{_TESTS}::test_a_record_is_recognised_whatever_version_it_states",
            source_sha256={_SEEN_ON: "f96a4aeebae7020aa53aa0e3fb2f50ce3c08d1f9fa28bc60afdce0acb452e981"},
        )
        for module in (tls, next_layer)
    ),
)
