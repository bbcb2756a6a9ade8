"""mitmdump prints the very bytes that it prints without us."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.addons.dumper import Dumper
from mitmproxy.flow import Error
from mitmproxy.test import taddons, tflow
from mitmproxy.utils import strutils

from proxy_policies.tuning.dumper import quick_escape, quick_lines

Change = Callable[[http.HTTPFlow], object]


def put(path: str, value: object) -> Change:
    """Make a change that sets an attribute: `request.path`."""
    *owners, name = path.split(".")

    def change(flow: http.HTTPFlow) -> None:
        owner: Any = flow
        for each in owners:
            owner = getattr(owner, each)
        setattr(owner, name, value)

    return change


CHANGES: dict[str, Change] = {
    "as-it-is": lambda flow: None,
    "no-response": put("response", None),
    "content-missing": put("response.raw_content", None),
    "large": put("response.raw_content", b"x" * 123456),
    "empty": put("response.raw_content", b""),
    "teapot": put("response.status_code", 418),
    "unknown-status": put("response.status_code", 799),
    "odd-reason": put("response.data.reason", b"N\xf6t \x1b[31m fo\rund"),
    "http/1.0": put("response.http_version", "HTTP/1.0"),
    "both-http/1.0": lambda flow: (put("request.http_version", "HTTP/1.0")(flow), CHANGES["http/1.0"](flow)),
    "http/2-request": put("request.http_version", "HTTP/2.0"),
    "both-http/2": lambda flow: (CHANGES["http/2-request"](flow), put("response.http_version", "HTTP/2.0")(flow)),
    "replayed-request": put("is_replay", "request"),
    "replayed-response": put("is_replay", "response"),
    "pushed": lambda flow: flow.metadata.update({"h2-pushed-stream": True}),
    "error": put("error", Error("it broke\x07 off")),
    "no-peer": put("client_conn.peername", None),
    "ipv6": put("client_conn.peername", ("2001:db8::1", 4711, 0, 0)),
    "mapped": put("client_conn.peername", ("::ffff:192.0.2.1", 4711, 0, 0)),
    "a-name": put("client_conn.peername", ("home\x1b", 1)),
    "connect": put("request.method", "CONNECT"),
    "odd-method": put("request.method", "GE\x00T"),
    "asterisk": put("request.path", "*"),
    "long-url": put("request.path", "/" + "long" * 40),
    "50": put("request.path", "/" + "x" * 32),
    "51": put("request.path", "/" + "x" * 33),
    "odd-path": put("request.data.path", b"/\xff\t\n\xc3\xa4\x7f"),
    "default-port": put("request.port", 80),
    "https": put("request.scheme", "https"),
    "host-header": put("request.host_header", "elsewhere.example"),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "usual": {},
    "quiet": {"flow_detail": 0},
    "detailed": {"flow_detail": 2},
    "all": {"flow_detail": 4},
    "showhost": {"showhost": True},
    "filtered": {"dumper_filter": "~c 418"},
}


def printed(flow: http.HTTPFlow, options: dict[str, Any], *, has_colours: bool = False, quick: bool = False) -> str:
    out = io.StringIO()
    dumper = Dumper(out)
    dumper.out_has_vt_codes = has_colours
    with taddons.context(dumper) as context, pytest.MonkeyPatch.context() as patched:
        if quick:
            patched.setattr(Dumper, "echo_flow", quick_lines(Dumper.echo_flow))
        context.configure(dumper, **options)
        dumper.response(flow)
    return out.getvalue()


def flow_with(*changes: Change) -> http.HTTPFlow:
    flow = tflow.tflow(resp=True)
    for change in changes:
        change(flow)
    return flow


@pytest.mark.parametrize("has_colours", [False, True], ids=["plain", "colours"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_as_stock(change: Change, options: dict[str, Any], has_colours: bool) -> None:
    flow = flow_with(change)
    stock = printed(flow, options, has_colours=has_colours)
    assert printed(flow, options, has_colours=has_colours, quick=True) == stock


@pytest.mark.parametrize("columns", ["20", "80", "500", "no number"])
@pytest.mark.parametrize("change", ["long-url", "50", "51"])
def test_urls_are_cut_where_stock_cuts_them(change: str, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    flow = flow_with(CHANGES[change])
    assert printed(flow, {}, quick=True) == printed(flow, {})


@given(
    method=st.text(max_size=8),
    path=st.binary(max_size=200),
    reason=st.binary(max_size=20),
    status=st.integers(100, 999),
    size=st.integers(0, 3000),
)
def test_whatever_is_in_them_as_stock(method: str, path: bytes, reason: bytes, status: int, size: int) -> None:
    flow = flow_with(
        put("request.data.method", method.encode("utf-8", "surrogatepass")),
        put("request.data.path", path),
        put("response.data.reason", reason),
        put("response.status_code", status),
        put("response.raw_content", bytes(size)),
    )
    assert printed(flow, {}, quick=True) == printed(flow, {})


def test_the_terminal_is_not_asked_about_a_short_url(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(shutil, "get_terminal_size", asked)
    assert printed(flow_with(), {}, quick=True).startswith("127.0.0.1:22: GET http://address:22/path\n")


class OfAnothers(Dumper):
    """A user's own way to print."""

    def echo_flow(self, f: http.HTTPFlow) -> None:
        super().echo_flow(f)

    def _echo_request_line(self, flow: http.HTTPFlow) -> None:
        self.echo("mine")


def test_a_subclass_prints_as_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dumper, "echo_flow", quick_lines(Dumper.echo_flow))
    out = io.StringIO()
    dumper = OfAnothers(out)
    with taddons.context(dumper):
        dumper.echo_flow(flow_with())
    assert out.getvalue().startswith("mine\n")


def outcome(function: Any, *arguments: Any) -> object:
    try:
        return function(*arguments)
    except Exception as error:
        return repr(error)


@given(text=st.one_of(st.text(), st.binary(), st.none()), keeps=st.booleans())
def test_texts_as_stock(text: Any, keeps: bool) -> None:
    stock = outcome(strutils.escape_control_characters, text, keeps)
    assert outcome(quick_escape(strutils.escape_control_characters), text, keeps) == stock
