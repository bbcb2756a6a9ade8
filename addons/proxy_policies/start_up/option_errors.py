"""Reports values of options with which an addon of mitmproxy fails in one line, as other invalid values."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator

from proxy_policies.lazy_imports import lazy_imports

with lazy_imports():  # mitmproxy takes half a second
    from mitmproxy import ctx

ADDON_ERRORS = "mitmproxy.addonmanager"
"""The logger of exceptions of addons."""


def shorten_all() -> None:
    """Shorten the records of such errors from now on."""
    logging.getLogger(ADDON_ERRORS).addFilter(shorten)


def shorten(record: logging.LogRecord) -> bool:
    """Replace the traceback of an addon of mitmproxy that failed while it was configured by a line; return True."""
    error = record.exc_info[1] if record.exc_info else None
    for frame, _ in traceback.walk_tb(error.__traceback__ if error is not None else None):
        folder, _, module = frame.f_globals.get("__name__", "").rpartition(".")
        if frame.f_code.co_name == "configure" and folder == "mitmproxy.addons":
            why = f"mitmproxy's addon {module} cannot use an option: {type(error).__name__}: {error}"
            record.msg = next(wrong_choices(), why)
            record.args = record.exc_info = None
            break
    return True


def wrong_choices() -> Iterator[str]:
    """Yield a line for each option whose value is not among its choices, which mitmproxy does not check."""
    for name, option in ctx.options.items():
        value = option.current()
        if option.choices and value not in (None, *option.choices):
            yield f"option {name}={value!r}: choose one of {', '.join(option.choices)}"
