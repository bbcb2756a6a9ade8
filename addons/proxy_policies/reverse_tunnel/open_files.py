"""How many files and sockets this process may have open. No mitmproxy in here."""

from __future__ import annotations

import contextlib


def raise_open_file_limit() -> None:
    """Raise the soft limit to the hard one, as Go's programs do at their start: 1024 are some 500 sessions."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # no Unix; macOS has a lower limit of its own, too
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
