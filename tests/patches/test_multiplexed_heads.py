"""The heads of requests over HTTP/2 and HTTP/3."""

from types import SimpleNamespace

import pytest

from proxy_policies.http1 import response_heads
from proxy_policies.http1.request_heads import HEAD_LIMIT
from proxy_policies.patches.multiplexed_heads import checked_response, checked_trailers, read_request
from proxy_policies.validity import Invalid

HEAD = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"a.test:8443"), (b":path", b"/x"), (b"n", b"v")]


@pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/3"])
def test_a_head_is_read(version: bytes) -> None:
    request = read_request(SimpleNamespace(headers=HEAD), version)
    assert (request.host, request.port, request.data.path) == ("a.test", 8443, b"/x")
    assert (request.headers.fields, request.data.http_version) == (((b"n", b"v"),), version)


@pytest.mark.parametrize("missing", HEAD[:4], ids=lambda line: line[0].decode())
def test_a_head_without_a_pseudo_field(missing: tuple[bytes, bytes]) -> None:
    with pytest.raises(Invalid):
        read_request(SimpleNamespace(headers=[line for line in HEAD if line != missing]), b"HTTP/3")


def test_host_is_passed_on_as_the_authority_is_spelt() -> None:
    request = read_request(SimpleNamespace(headers=[*HEAD, (b"host", b"A.TEST:8443")]), b"HTTP/3")
    assert request.headers.get_all("host") == ["a.test:8443"]


def test_a_long_head_is_refused() -> None:
    fields = [(b"n", b"v" * 1000)] * (HEAD_LIMIT // 1000 + 1)
    with pytest.raises(Invalid, match="over 65536 bytes") as error:
        read_request(SimpleNamespace(headers=HEAD + fields), b"HTTP/3")
    assert error.value.status == 431


@pytest.mark.parametrize(
    "lines",
    [
        [*HEAD, (b":path", b"/")],
        [HEAD[0], *HEAD],
        [*HEAD[:3], HEAD[4], HEAD[3]],
        [(b":status", b"200"), *HEAD],
        [(b":protocol", b"websocket"), *HEAD],
        [*HEAD, (b"Upper", b"")],
        [*HEAD, (b"x", b" y")],
        [*HEAD, (b"x", b"y\t")],
        [*HEAD, (b"", b"")],
        [*HEAD, (b"a:b", b"")],
        [*HEAD, (b"host", b"a.test:8443"), (b"host", b"a.test:8443")],
    ],
)
def test_malformed_heads(lines: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(Invalid) as error:
        read_request(SimpleNamespace(headers=lines), b"HTTP/2.0")
    assert error.value.status == 400


def test_long_heads_and_trailers_of_responses_are_refused() -> None:
    most = [(b"x", b"y" * 1000)] * (response_heads.HEAD_LIMIT // 1000)
    assert checked_response(tuple([(b":status", b"200"), *most[1:]]), 200, False)
    with pytest.raises(Invalid, match="over 262144 bytes"):
        checked_response(tuple([(b":status", b"200"), *most, *most[:2]]), 200, False)
    with pytest.raises(Invalid, match="over 65536 bytes"):
        checked_trailers(tuple(most))
