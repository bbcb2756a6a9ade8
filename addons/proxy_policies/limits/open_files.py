"""The limits on the files and sockets that this process may have open. Does not import mitmproxy."""

from __future__ import annotations

import contextlib
import sys


def open_file_limits() -> tuple[int, int] | None:
    """Return the soft and the hard limit, `sys.maxsize` for none; None on Windows, which has other limits."""
    try:
        import resource
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    return (sys.maxsize if soft == unlimited else soft), (sys.maxsize if hard == unlimited else hard)


def raise_open_file_limit() -> None:
    """Raise the soft limit to the hard one, as Go's programs do at start: 1024 suffice for some 500 sessions."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # not Unix; or macOS, which has another, lower limit
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
