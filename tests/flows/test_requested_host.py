"""The host that a client asked for."""

from mitmproxy import http

from proxy_policies.flows.requested_host import host_of, note, requested_host


def request(*fields: tuple[bytes, bytes], authority: bytes = b"") -> http.Request:
    return http.Request("origin", 80, b"GET", b"http", authority, b"/", b"HTTP/1.1", fields, b"", None, 0, 0)


def test_what_was_noted_outlives_what_mitmproxy_writes() -> None:
    one = request((b"Host", b"shop.example"))
    note(one, host_of(one))
    one.host_header = "origin:8000"
    assert requested_host(one) == "shop.example"


def test_an_authority_counts_before_host() -> None:
    assert requested_host(request((b"Host", b"b.test"), authority=b"a.test:81")) == "a.test:81"


def test_what_no_client_sent_is_as_it_is() -> None:
    assert requested_host(request((b"Host", b"a.test"))) == "a.test"
    assert requested_host(request()) is None


def test_what_was_noted_is_neither_saved_nor_copied() -> None:
    one = request((b"Host", b"a.test"))
    note(one, host_of(one))
    assert "policy_requested_host" not in one.get_state()
    other = one.copy()
    other.headers["Host"] = "b.test"
    assert requested_host(other) == "b.test"
