"""Heads as they are sent."""

import pytest
from mitmproxy import http

from proxy_policies.fields import Fields
from proxy_policies.http1.sent_heads import as_http1, error_response, head_of, kept_request, kept_response


def request(version: bytes, *fields: tuple[bytes, bytes], authority: bytes = b"", path: bytes = b"/") -> http.Request:
    return http.Request("a.test", 81, b"GET", b"http", authority, path, version, fields, b"", None, 0, 0)


def test_a_copy_is_not_edited_with_its_original() -> None:
    one = request(b"HTTP/1.1", (b"Host", b"a.test"))
    copy = kept_request(one)
    one.headers["Host"] = "b.test"
    assert copy.headers["Host"] == "a.test"


def test_what_is_sent_is_in_our_version() -> None:
    assert as_http1(request(b"HTTP/1.0", (b"Host", b"a.test"))).http_version == "HTTP/1.1"


@pytest.mark.parametrize(("version", "host"), [(b"HTTP/1.0", "a.test:81"), (b"HTTP/1.1", "a.test:81")])
def test_a_host_is_said_where_the_client_said_none(version: bytes, host: str) -> None:
    assert as_http1(request(version)).headers["Host"] == host


def test_http_2_becomes_one_host_and_one_cookie_line() -> None:
    sent = as_http1(request(b"HTTP/2.0", (b"cookie", b"a=1"), (b"cookie", b"b=2"), authority=b"shop.example"))
    assert sent.headers.get_all("cookie") == ["a=1; b=2"]
    assert (sent.headers["host"], sent.data.authority, sent.headers["connection"]) == ("shop.example", b"", "close")


def test_te_of_http2_is_for_one_connection() -> None:
    sent = as_http1(request(b"HTTP/2.0", (b"te", b"trailers"), authority=b"shop.example"))
    assert (sent.headers["te"], sent.headers["connection"]) == ("trailers", "TE, close")


def test_a_proxy_is_asked_for_options_of_the_server_without_a_path() -> None:
    assert as_http1(request(b"HTTP/1.1", authority=b"a.test", path=b"*")).data.path == b""


def test_a_reason_is_found_where_the_version_has_none() -> None:
    response = http.Response(b"HTTP/2.0", 404, b"", http.Headers(), b"", None, 0, 0)
    assert head_of(kept_response(response, Fields(((b"A", b"1"),)))) == b"HTTP/1.1 404 Not Found\r\nA: 1\r\n\r\n"


def test_an_error_is_a_page() -> None:
    response = error_response(502, "nobody <there>")
    assert (response.status_code, response.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert "nobody &lt;there&gt;" in (response.text or "")
