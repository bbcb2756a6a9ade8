"""Writes mitmdump's two lines for a flow directly, if nothing in them is styled; printable texts are not escaped.

Tested with mitmproxy 12.2.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from mitmproxy import ctx, http
from mitmproxy.addons.dumper import Dumper
from mitmproxy.utils import human, strutils

from proxy_policies.patch import Replacement
from proxy_policies.streaming.decision import size_beyond

SHORT = 50
"""A URL with at most this many characters is never cut, however narrow the terminal."""
MARGIN = 25
"""Columns left for the other parts of a line."""

Echo = Callable[[Any, http.HTTPFlow], None]


def quick_lines(original: Echo) -> Echo:
    """Return a function that writes a plain flow's lines; others, and all on a terminal, are left to the original."""

    def echo_flow(dumper: Dumper, flow: http.HTTPFlow) -> None:
        if flow.response is None or not has_plain_lines(dumper, flow, flow.response):
            original(dumper, flow)
            return
        address = human.format_address(flow.client_conn.peername)
        dumper.outfp.write(f"{_request_line(flow, address)}\n{_response_line(flow.response, address)}\n")
        dumper.outfp.flush()

    return echo_flow


def has_plain_lines(dumper: Dumper, flow: http.HTTPFlow, response: http.Response) -> bool:
    """Return whether a flow has two ordinary lines: one version of HTTP/1, no error, no replay."""
    return (
        type(dumper) is Dumper
        and not dumper.out_has_vt_codes
        and ctx.options.flow_detail == 1
        and not ctx.options.showhost
        and flow.is_replay is None
        and not flow.error
        and size_beyond(flow, response) is None
        and "h2-pushed-stream" not in flow.metadata
        and flow.client_conn.peername is not None
        and flow.request.data.http_version == response.data.http_version
        and (response.is_http11 or response.is_http10)
    )


def _request_line(flow: http.HTTPFlow, address: str) -> str:
    escape = strutils.escape_control_characters
    url = flow.request.url
    if len(url) > SHORT and len(url) > (limit := max(shutil.get_terminal_size()[0] - MARGIN, SHORT)):
        url = f"{url[:limit]}…"
    return f"{escape(address)}: {escape(flow.request.method)} {escape(url)}"


def _response_line(response: http.Response, address: str) -> str:
    content = response.raw_content
    size = "(content missing)" if content is None else human.pretty_size(len(content))
    reason = strutils.escape_control_characters(response.reason)
    return f"{'':{max(0, len(address) - 2)}} << {response.status_code} {reason} {size}"


def quick_escape(original: Callable[[str, bool], str]) -> Callable[[str, bool], str]:
    """Return a function that returns printable texts unchanged, without looking each character up."""

    def escape_control_characters(text: str, keep_spacing: bool = True) -> str:
        if type(text) is str and text.isprintable():
            return text
        return original(text, keep_spacing)

    return escape_control_characters


DUMPER = Replacement(
    owner=Dumper,
    attribute="echo_flow",
    wrap=quick_lines,
    seen_on="12.2",
    why="the terminal's size is queried, and styles are computed, even without a terminal",
)
ESCAPES = Replacement(
    owner=strutils,
    attribute="escape_control_characters",
    wrap=quick_escape,
    seen_on="12.2",
    why="each character that mitmdump prints is looked up in a table",
)
