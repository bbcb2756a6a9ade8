"""The access-log policy: a line for each request and each tunnel, also for those on fast paths."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from mitmproxy import ctx

from proxy_policies.background.tasks import in_background, warn_from_thread
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.finished import reporting
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.settings import Setting, as_text, one_of, reject

with lazy_imports():
    from proxy_policies.access_log import formats, log_file, writer
    from proxy_policies.capture.secrets import masking

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT = 2.0
"""Seconds to write queued lines when mitmproxy ends."""


class AccessLog:
    """Passes records of finished requests and tunnels to a thread that writes them."""

    name = "access_log"
    fast_paths = NO_OBJECTION
    access_log = Setting(
        "off", as_text, "Append a line for each request and tunnel to this file; - for standard output; off."
    )
    access_log_format = Setting(
        "json", one_of("json", "combined"), "Format of the access log: json, or combined as in Apache and nginx."
    )

    def __init__(self) -> None:
        self._writer: writer.Writer[reporting.Item] | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    def configure(self, updated: set[str]) -> None:
        """Open the chosen file, and continue with it in the chosen format."""
        if not updated & {"access_log", "access_log_format"}:
            return
        opened = None
        if self.access_log != "off":
            try:
                opened = self._open()
            except (OSError, ValueError) as error:
                reject(f"option access_log={self.access_log!r}: {getattr(error, 'strerror', error)}")
                return
        if (before := self._stop()) is not None:
            before.close(0.0)
        if opened is not None:
            self._start(opened)

    def _open(self) -> int:
        if self.access_log == log_file.STANDARD_OUTPUT and type(ctx.master).__name__ == "ConsoleMaster":
            raise OSError(0, "the console has the terminal; name a file")
        return log_file.open_log(self.access_log)

    def _start(self, opened: int) -> None:
        written = formats.FORMATS[self.access_log_format](masking.mask_url)
        self._writer = writer.Writer(opened, written.lines, warn_from_thread(logger, "access log: "))
        self._writer.start()
        self._unsubscribe = reporting.subscribe(self._writer.put)

    def _stop(self) -> writer.Writer[reporting.Item] | None:
        """Unsubscribe the writer, and return it."""
        self._unsubscribe()
        self._unsubscribe = lambda: None
        stopped, self._writer = self._writer, None
        return stopped

    @in_background
    async def done(self) -> None:
        """Write the queued lines, and close the file."""
        if (stopped := self._stop()) is not None:
            await asyncio.to_thread(stopped.end, CLOSE_TIMEOUT)

    def reopen(self) -> None:
        """Open the file again, on SIGHUP: it may have been moved away to start a new one."""
        if self._writer is not None:
            self._writer.reopen(self._open)

    async def statistics(self) -> Mapping[str, int]:
        """Return the number of lines written, and of those lost."""
        return {"lines": self._writer.processed, "lost": self._writer.lost} if self._writer is not None else {}
