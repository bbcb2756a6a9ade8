"""What peers say is printed as text: a terminal obeys none of it.

mitmproxy prints what came (names, zones, reason phrases, reasons for closing) with C1 and bidi controls in it, and log
lines with C0 controls, ESC among them.
"""

from __future__ import annotations

import copy
import functools
import io
import logging
import re
from collections.abc import Callable
from typing import Any

from mitmproxy import log
from mitmproxy.addons import dumper, termlog
from mitmproxy.utils import strutils

from proxy_policies.log_lines import printable
from proxy_policies.patch import Companion, Patch

_STYLE = re.compile("(\x1b\\[[0-9;]*m)")
"""What mitmdump colours its lines with (ECMA-48, section 8.3.117)."""


def print_log_lines() -> Callable[[], None]:
    """Have every line that mitmproxy logs printed as text, and at once; return the function that undoes it.

    Python keeps 8 KiB of what is printed into a pipe or a file to itself: whoever reads the log there (a supervisor, a
    journal, `tee`, a program that waits for "listening") would see nothing for hours.
    """
    handlers = [handler for handler in logging.getLogger().handlers if isinstance(handler, log.MitmLogHandler)]
    outputs = {handler.file for handler in handlers if isinstance(handler, termlog.TermLogHandler)}
    buffered = [out for out in outputs if isinstance(out, io.TextIOWrapper) and not out.line_buffering]
    for handler in handlers:
        handler.addFilter(_as_text)
    for out in buffered:
        out.reconfigure(line_buffering=True)

    def undo() -> None:
        for handler in handlers:
            handler.removeFilter(_as_text)
        for out in buffered:
            if not out.closed:
                out.reconfigure(line_buffering=False)

    return undo


def _as_text(record: logging.LogRecord) -> logging.LogRecord:
    message = record.getMessage()
    if (safe := printable(message, lines=True)) != message:
        record = copy.copy(record)
        record.msg, record.args = safe, ()
    return record


def _in_flows(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def echo(self: dumper.Dumper, text: str, *arguments: Any, **style: Any) -> None:
        parts = _STYLE.split(text) if self.out_has_vt_codes else [text]
        parts[::2] = [printable(part, lines=True) for part in parts[::2]]
        original(self, "".join(parts), *arguments, **style)

    return echo


def _everywhere(original: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(original)
    def escape_control_characters(text: str, keep_spacing: bool = True) -> str:
        return printable(original(text, keep_spacing), lines=keep_spacing)

    return escape_control_characters


PATCHES = (
    Patch(
        owner=dumper.Dumper,
        attribute="echo",
        wrap=_in_flows,
        seen_on="12.2.1 to 12.3.1",
        why="a peer can have the terminal obey what is printed of it, by the reason for closing a WebSocket, say",
        upstream="not reported: a WebSocket server that closes with U+009B in its reason",
        remove_when="`Dumper` escapes all that it prints",
        test="tests/patches/test_terminal.py::test_the_reason_for_closing_a_websocket_is_text",
        source_sha256={"12.2.1 to 12.3.1": "0b843c828ea391a6db1ad767badd779b37389ae0c4d9ac75ec7b5e9599ad85e8"},
        companions=(
            Companion(
                owner=strutils,
                attribute="escape_control_characters",
                wrap=_everywhere,
                seen_on="12.2.1 to 12.3.1",
                why="a peer can have the terminal obey what is printed of it, by a reason phrase, say",
                test="tests/e2e/explain/test_printed.py::test_nothing_printed_is_obeyed",
                source_sha256={
                    "12.2.1": "97ffbfab9eb1e08ea099433d97ffa0775a3f19313f67956cc6df6ae9f2aaa7ad",
                    "12.3.1": "6e89b0629e49021a23a2f1879029a6fb6f4109896b2e19a953b1e1db99a55ddd",
                },
            ),
        ),
    ),
)
