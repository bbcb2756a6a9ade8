"""What peers say is printed as text: a terminal obeys none of it.

mitmproxy prints what came (names, zones, reason phrases, reasons for closing) with C1 and bidi controls in it, and log
lines with C0 controls, ESC among them.
"""

from __future__ import annotations

import copy
import functools
import logging
import re
from collections.abc import Callable
from typing import Any

from mitmproxy import log
from mitmproxy.addons import dumper
from mitmproxy.utils import strutils

from proxy_policies.log_lines import printable
from proxy_policies.patches.patch import Patch

_STYLE = re.compile("(\x1b\\[[0-9;]*m)")
"""What mitmdump colours its lines with (ECMA-48, section 8.3.117)."""


def _in_log_lines(original: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(original)
    def format_record(self: log.MitmFormatter, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if (safe := printable(message, lines=True)) != message:
            record = copy.copy(record)
            record.msg, record.args = safe, ()
        return original(self, record)

    return format_record


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


_WHY = "a peer can have the terminal obey what is printed of it"

PATCHES = (
    Patch(owner=log.MitmFormatter, attribute="format", wrap=_in_log_lines, versions="12.3", why=_WHY),
    Patch(owner=dumper.Dumper, attribute="echo", wrap=_in_flows, versions="12.3", why=_WHY),
    Patch(owner=strutils, attribute="escape_control_characters", wrap=_everywhere, versions="12.3", why=_WHY),
)
