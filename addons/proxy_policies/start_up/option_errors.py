"""Reports values of options with which an addon of mitmproxy fails in one line, as other invalid values."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Collection, Iterator

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
            record.msg = next(wrong_choices(ctx.options.keys()), why)
            record.args = record.exc_info = None
            break
    return True


def wrong_choices(names: Collection[str]) -> Iterator[str]:
    """Yield a line for each option whose value is not among its choices, which mitmproxy does not check.

    The views of bodies are left out: addons register more of them later.
    """
    for name in names:
        option = ctx.options._options.get(name)
        if option is None or not option.choices or name.endswith("contentview"):
            continue
        value = option.current()
        if value not in (None, *option.choices):
            yield f"option {name}={value!r}: choose one of {', '.join(option.choices)}"
