"""Escapes control characters in printed text that peers sent, so that the terminal does not act on them.

mitmproxy prints received text (names, zones, reason phrases, reasons for closing) with C1 and bidirectional controls,
and log lines with C0 controls, including ESC.
"""

from __future__ import annotations

import copy
import functools
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
"""The sequences with which mitmdump colours its lines (ECMA-48, section 8.3.117)."""

_TRACEBACKS = logging.Formatter()


class _Output:
    """Prints lines at once, and loses what cannot be printed, as on a full disk, where mitmproxy would end.

    It still ends if its reader has left, as in `mitmdump | head`. Python holds back up to 8 KiB of what is printed to a
    pipe or a file: a supervisor, a journal, `tee` or a program that waits for "listening" would see nothing for hours.
    """

    def __init__(self, out: Any) -> None:
        self._out = out

    def write(self, text: str) -> None:
        """Print a text."""
        self._try(self._out.write, text)
        if text.endswith("\n"):
            self.flush()

    def flush(self) -> None:
        """Print what is held back."""
        self._try(self._out.flush)

    @staticmethod
    def _try(call: Callable[..., object], *arguments: object) -> None:
        try:
            call(*arguments)
        except BrokenPipeError:
            raise
        except OSError:
            return


def print_lines(dumper: Any = None) -> Callable[[], None]:
    """Print every line of the log, escaped, and of `dumper`, mitmdump's addon for flows; return the undo function."""
    handlers = [handler for handler in logging.getLogger().handlers if isinstance(handler, log.MitmLogHandler)]
    printing = [(handler, "file") for handler in handlers if isinstance(handler, termlog.TermLogHandler)]
    printing += [(dumper, "outfp")] if dumper is not None else []
    outputs = [(owner, name, getattr(owner, name)) for owner, name in printing]
    for handler in handlers:
        handler.format = functools.partial(_format_escaped, handler.format)  # type: ignore[method-assign]
    for owner, name, out in outputs:
        setattr(owner, name, _Output(out))

    def undo() -> None:
        for handler in handlers:
            vars(handler).pop("format", None)
        for owner, name, out in outputs:
            setattr(owner, name, out)

    return undo


def _format_escaped(original: Callable[[logging.LogRecord], str], record: logging.LogRecord) -> str:
    """Format a record whose message and traceback are escaped; the colours around them are not."""
    text = record.getMessage()
    if record.exc_info:
        text = f"{text}\n{_TRACEBACKS.formatException(record.exc_info)}"
    if (safe := printable(text, lines=True)) != text:
        record = copy.copy(record)
        record.msg, record.args, record.exc_info = safe, (), None
    return original(record)


def _escape_flows(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def echo(self: dumper.Dumper, text: str, *arguments: Any, **style: Any) -> None:
        parts = _STYLE.split(text) if self.out_has_vt_codes else [text]
        parts[::2] = [printable(part, lines=True) for part in parts[::2]]
        original(self, "".join(parts), *arguments, **style)

    return echo


def _escape_all_controls(original: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(original)
    def escape_control_characters(text: str, keep_spacing: bool = True) -> str:
        return printable(original(text, keep_spacing), lines=keep_spacing)

    return escape_control_characters


PATCHES = (
    Patch(
        owner=dumper.Dumper,
        attribute="echo",
        wrap=_escape_flows,
        seen_on="12.2.1 to 12.3.1",
        why="a peer can control the terminal, for example through the reason for closing a WebSocket",
        upstream="not reported: have a WebSocket server close with U+009B in its reason",
        remove_when="`Dumper` escapes everything it prints",
        test="tests/patches/test_terminal.py::test_the_reason_for_closing_a_websocket_is_text",
        source_sha256={"12.2.1 to 12.3.1": "0b843c828ea391a6db1ad767badd779b37389ae0c4d9ac75ec7b5e9599ad85e8"},
        companions=(
            Companion(
                owner=strutils,
                attribute="escape_control_characters",
                wrap=_escape_all_controls,
                seen_on="12.2.1 to 12.3.1",
                why="a peer can control the terminal, for example through a reason phrase",
                test="tests/e2e/explain/test_printed.py::test_nothing_printed_is_obeyed",
                source_sha256={
                    "12.2.1": "97ffbfab9eb1e08ea099433d97ffa0775a3f19313f67956cc6df6ae9f2aaa7ad",
                    "12.3.1": "6e89b0629e49021a23a2f1879029a6fb6f4109896b2e19a953b1e1db99a55ddd",
                },
            ),
        ),
    ),
)
