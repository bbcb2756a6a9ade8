"""mitmproxy's own addons without an option are left out, and do what they do with it: as stock, set live and unset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import http, io
from mitmproxy.addons import default_addons, proxyserver, script
from mitmproxy.flow import Error
from mitmproxy.proxy import mode_specs
from mitmproxy.proxy.layers.http._hooks import (
    HttpErrorHook,
    HttpRequestHeadersHook,
    HttpRequestHook,
    HttpResponseHeadersHook,
    HttpResponseHook,
)
from mitmproxy.proxy.layers.tcp import TcpEndHook, TcpErrorHook, TcpStartHook
from mitmproxy.test import taddons, tflow

from proxy_policies.dispatch.dispatcher import Dispatch
from proxy_policies.dispatch.stock_conditions import STOCK_CONDITIONS

TCP = ("tcp_start", "tcp_end", "tcp_error")


def reverse(flow: http.HTTPFlow) -> None:
    flow.client_conn.proxy_mode = mode_specs.ProxyMode.parse("reverse:http://address:22")


def with_cookie(flow: http.HTTPFlow) -> None:
    assert flow.response
    flow.response.headers["Set-Cookie"] = "a=b; Path=/"


def with_authorization(flow: http.HTTPFlow) -> None:
    flow.request.headers["Authorization"] = "Basic xyz"


@dataclass
class Case:
    """An option with a value that makes an addon act, and what its flows have to be like."""

    option: str
    value: Any
    prepare: Callable[[http.HTTPFlow], object] = field(default=lambda flow: None)


CASES = [
    Case("proxyauth", "user:password"),
    Case("modify_headers", ["/X-Mine/yes"]),
    Case("upstream_auth", "user:password", reverse),
    Case("block_list", [":~all:444"]),
    Case("server_replay", ["FOLDER/recorded"]),
    Case("map_remote", ["|http://address|http://elsewhere"]),
    Case("map_local", ["|http://address|FOLDER"]),
    Case("modify_body", ["/content|message/other"]),
    Case("stickyauth", ".*", with_authorization),
    Case("stickycookie", ".*", with_cookie),
    Case("save_stream_file", "FOLDER/saved"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with what the options name."""
    recorded = tflow.tflow(resp=True)
    assert recorded.response
    recorded.response.content = b"recorded"
    with (tmp_path / "recorded").open("wb") as file:
        io.FlowWriter(file).add(recorded)
    (tmp_path / "path").write_text("a file")
    return tmp_path


def placed(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [placed(each, folder) for each in value]
    return value.replace("FOLDER", str(folder)) if isinstance(value, str) else value


async def exchange(manager: Any, prepare: Callable[[http.HTTPFlow], object]) -> list[object]:
    """Fire the events of an exchange and of one that breaks off; give what addons made of the two."""
    whole, broken = tflow.tflow(resp=True), tflow.tflow(err=True)
    prepare(whole)
    response, whole.response = whole.response, None
    for event in (HttpRequestHeadersHook(whole), HttpRequestHook(whole)):
        await manager.handle_lifecycle(event)
    answer = whole.response
    whole.response = whole.response or response
    for late in (HttpResponseHeadersHook(whole), HttpResponseHook(whole)):
        await manager.handle_lifecycle(late)
    broken.error = Error("broke off", 1.0)
    for failing in (HttpRequestHeadersHook(broken), HttpRequestHook(broken), HttpErrorHook(broken)):
        await manager.handle_lifecycle(failing)
    ended, failed = tflow.ttcpflow(), tflow.ttcpflow(err=True)
    for of_stream in (TcpStartHook(ended), TcpEndHook(ended), TcpStartHook(failed), TcpErrorHook(failed)):
        await manager.handle_lifecycle(of_stream)
    return [bool(answer), *map(seen, (whole, broken))]


def seen(flow: http.HTTPFlow) -> list[object]:
    response = flow.response
    answer = response and (response.status_code, response.headers.fields, response.raw_content)
    return [flow.request.url, flow.request.headers.fields, flow.request.raw_content, answer, dict(flow.metadata)]


def stock_addons() -> list[object]:
    left_out = (proxyserver.Proxyserver, script.ScriptLoader)
    return [addon for addon in default_addons() if not isinstance(addon, left_out)]


async def play(case: Case, folder: Path, is_ours: bool) -> list[object]:
    """Have exchanges with the option empty, set, and empty again."""
    outcomes: list[object] = []
    saved = folder / "saved"
    saved.unlink(missing_ok=True)
    with taddons.context(loadcore=False) as context:
        context.master.addons.add(*stock_addons())
        context.options.add_option("mode", list, ["regular"], "")
        undo = Dispatch(context.master.addons).install() if is_ours else lambda: None
        empty = getattr(context.options, case.option)
        for value in (empty, placed(case.value, folder), empty):
            context.options.update(**{case.option: value})
            outcomes += [await exchange(context.master.addons, case.prepare) for _ in range(2)]
        outcomes.append(saved.stat().st_size if saved.exists() else None)
        undo()
    return outcomes


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.option)
async def test_as_stock(case: Case, folder: Path) -> None:
    stock = await play(case, folder, is_ours=False)
    assert stock[0] != stock[2] or stock[-1], "the option makes a difference"
    assert await play(case, folder, is_ours=True) == stock


def test_each_of_them_is_idle_at_first() -> None:
    with taddons.context(loadcore=False) as context:
        context.master.addons.add(*stock_addons())
        turns = [
            (getattr(addon, name).__func__, condition and condition(addon))
            for name in (*("requestheaders", "request", "responseheaders", "response", "error"), *TCP)
            for group in Dispatch(context.master.addons).table.entries(name)
            for addon, condition, hook in group
            if getattr(hook, "__func__", None) in STOCK_CONDITIONS
        ]
    assert {function for function, _ in turns} == set(STOCK_CONDITIONS)
    assert not any(condition for _, condition in turns)
