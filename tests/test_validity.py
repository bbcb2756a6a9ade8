"""What a message must be: the grammar, piece by piece, and that nothing else is ever raised."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies import validity
from proxy_policies.fields import RawFields
from proxy_policies.validity import Invalid, RequestLine

READERS: list[Callable[[bytes], object]] = [
    validity.parse_request_line,
    validity.parse_status_line,
    validity.parse_authority,
    validity.parse_destination,
    lambda data: validity.parse_fields([data]),
    lambda data: validity.unfolded([data, data]),
    lambda data: validity.with_one_length(((b"content-length", data),)),
    lambda data: validity.check_multiplexed(b"GET", b"https", data, data, ((b"host", data),)),
]


@given(st.sampled_from(READERS), st.binary(max_size=60) | st.text("GET /:[]%HTTP1.0,a", max_size=30).map(str.encode))
def test_nothing_but_invalid_is_raised_and_its_text_is_printable(
    reader: Callable[[bytes], object], data: bytes
) -> None:
    assert all(" " <= char <= "~" for char in _said_against(reader, data))


def _said_against(reader: Callable[[bytes], object], data: bytes) -> str:
    try:
        reader(data)
    except Invalid as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET /a?b HTTP/1.1", RequestLine(b"GET", b"", b"", b"/a?b", b"HTTP/1.1")),
        (b"get / HTTP/1.0", RequestLine(b"get", b"", b"", b"/", b"HTTP/1.0")),
        (b"GET / HTTP/1.7", RequestLine(b"GET", b"", b"", b"/", b"HTTP/1.1")),
        (b"GET http://a HTTP/1.1", RequestLine(b"GET", b"http", b"a", b"/", b"HTTP/1.1")),
        (b"GET HTTPS://a:1?b HTTP/1.1", RequestLine(b"GET", b"https", b"a:1", b"/?b", b"HTTP/1.1")),
        (b"OPTIONS http://a HTTP/1.1", RequestLine(b"OPTIONS", b"http", b"a", b"*", b"HTTP/1.1")),
        (b"OPTIONS http://a?b HTTP/1.1", RequestLine(b"OPTIONS", b"http", b"a", b"/?b", b"HTTP/1.1")),
        (b"CONNECT [::1]:443 HTTP/1.1", RequestLine(b"CONNECT", b"", b"[::1]:443", b"", b"HTTP/1.1")),
    ],
)
def test_request_lines(line: bytes, expected: RequestLine) -> None:
    assert validity.parse_request_line(line) == expected


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET / HTTP/2.0", 505),
        (b"PRI * HTTP/2.0", 505),
        (b"HEAd / HTTP/1.1", 501),
        (b"GET / HTTP/1.10", 400),
        (b"GET / http/1.1", 400),
        (b" GET / HTTP/1.1", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b"CONNECT a HTTP/1.1", 400),
        (b"CONNECT http://a:1/ HTTP/1.1", 400),
        (b"GET http:///a HTTP/1.1", 400),
        (b"GET http://a:b@c/ HTTP/1.1", 400),
        (b"GET //a#b HTTP/1.1", 400),
    ],
)
def test_request_lines_that_are_refused(line: bytes, status: int) -> None:
    with pytest.raises(Invalid) as refusal:
        validity.parse_request_line(line)
    assert refusal.value.status == status


@pytest.mark.parametrize(
    ("method", "scheme", "status"),
    [(b"CONNECT", b"", 501), (b"CONNECT", b"https", 501), (b"Connect", b"https", 501), (b"GET", b"ftp", 400)],
)
def test_requests_of_a_stream_that_are_refused(method: bytes, scheme: bytes, status: int) -> None:
    with pytest.raises(Invalid) as refusal:
        validity.check_multiplexed(method, scheme, b"a:443", b"/", ())
    assert refusal.value.status == status


@pytest.mark.parametrize(
    ("scheme", "host", "is_same"),
    [
        (b"https", b"a.test", True),
        (b"https", b"A.Test:443", True),
        (b"http", b"a.test:443", False),
        (b"https", b"a.test.", False),
        (b"https", b"b.test", False),
    ],
)
def test_a_host_beside_authority(scheme: bytes, host: bytes, is_same: bool) -> None:
    for one, other in ((host, b"a.test"), (b"a.test", host)):
        with contextlib.nullcontext() if is_same else pytest.raises(Invalid, match="Host is not :authority"):
            validity.check_multiplexed(b"GET", scheme, one, b"/", ((b"host", other),))


@pytest.mark.parametrize(
    ("authority", "host", "port"),
    [
        (b"a.test", b"a.test", None),
        (b"A.Test.:80", b"A.Test.", 80),
        (b"xn--fa-hia.de:", b"xn--fa-hia.de", None),
        (b"a%41b_c~!$&'()*+;=", b"a%41b_c~!$&'()*+;=", None),
        (b"[::ffff:1.2.3.4]:65535", b"::ffff:1.2.3.4", 65535),
        (b"[fe80::1%25eth0]", b"fe80::1%25eth0", None),
        (b"", b"", None),
    ],
)
def test_authorities(authority: bytes, host: bytes, port: int | None) -> None:
    assert validity.parse_authority(authority) == (host, port)


@pytest.mark.parametrize(
    "authority",
    [
        *(b"a:0", b"a:65536", b"a:000080", b"a:-1", b"a:1:2", b"a b", b"a,b", b"a/b", b"a@b", b"a%4", b"a%zz"),
        *(b"::1", b"[::1", b"[::1]x", b"[1.2.3.4]", b"[v1.a]", b"[:::1]", b"[::1%]", b"[::1%a b]"),
        *(b"\xe4", b"a\x00", b"a" * 256),
    ],
)
def test_authorities_that_are_refused(authority: bytes) -> None:
    with pytest.raises(Invalid):
        validity.parse_authority(authority)


@pytest.mark.parametrize("host", [b"", b"a..b", b".a", b"a%41", b"a=b", b"a" * 64])
def test_hosts_that_cannot_be_connected_to(host: bytes) -> None:
    with pytest.raises(Invalid):
        validity.parse_destination(host + b":80")


LENGTH = st.sampled_from([b"content-length", b"Content-Length", b"X"])
VALUE = st.sampled_from(
    [b"0", b"5", b"05", b"5, 5", b"5,6", b"", b"-1", b"9223372036854775807", b"9223372036854775808"]
)


@given(st.lists(st.tuples(LENGTH, VALUE), max_size=4).map(tuple))
def test_there_is_one_length_or_none(fields: RawFields) -> None:
    with contextlib.suppress(Invalid):
        kept = validity.with_one_length(fields)
        lengths = [value for name, value in kept if name.lower() == b"content-length"]
        said = [value for name, value in fields if name.lower() == b"content-length"]
        assert len(lengths) == min(len(said), 1)
        assert all(value == b"%d" % int(value) for value in lengths)
        assert [line for line in kept if line[0] == b"X"] == [line for line in fields if line[0] == b"X"]


@pytest.mark.parametrize("value", [b"gzip", b"GZIP,\tchunked", b"x-gzip , chunked", b"deflate", b"compress,chunked"])
def test_compression_as_a_transfer_coding_is_refused(value: bytes) -> None:
    with pytest.raises(Invalid) as error:
        validity.check_codings(((b"Transfer-encoding", value),))
    assert error.value.status == (501 if b"chunked" in value else 400)


@pytest.mark.parametrize("value", [b"chunked", b"Chunked", b"identity"])
def test_chunked_passes(value: bytes) -> None:
    validity.check_codings(((b"Transfer-Encoding", value), (b"Content-Encoding", b"gzip")))


def test_folds_and_blanks_before_colons_are_undone() -> None:
    lines = [b"A: b", b"\t c ", b"  d", b"E \t: f : g", b"Bad Name : x"]
    assert validity.unfolded(lines) == [b"A: b c d", b"E: f : g", b"Bad Name : x"]
    with pytest.raises(Invalid):
        validity.unfolded([b" A: b"])


def test_a_long_line_takes_no_longer() -> None:
    for line in (b"X: " + b"x" * 200_000, b"x" * 200_000, b"x" * 100_000 + b" " * 100_000, b":" * 200_000):
        validity.unfolded([line])


def test_trailers_that_may_not_come_late_are_left_out() -> None:
    fields = ((b"X-Sum", b"1"), (b"Content-Length", b"2"), (b"HOST", b"a"), (b"Set-Cookie", b"b"))
    assert validity.without_forbidden_trailers(fields) == ((b"X-Sum", b"1"),)
    with pytest.raises(Invalid):
        validity.without_forbidden_trailers(((b"X", b"a\nb"),))
