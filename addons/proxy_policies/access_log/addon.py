"""The access-log policy: a line for each request and each tunnel, also for those on fast paths."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from mitmproxy import ctx

from proxy_policies.background.tasks import in_background, warn_from_thread
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.finished.reporting import Item
from proxy_policies.finished.subscription import SubscribedThread
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.settings import Setting, as_text, one_of, reject

with lazy_imports():
    from proxy_policies.access_log import formats, log_file
    from proxy_policies.capture.secrets import masking

logger = logging.getLogger(__name__)


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
        self._subscription: SubscribedThread[log_file.LineWriter[Item]] = SubscribedThread()

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
        self._subscription.replace(None if opened is None else self._writer_to(opened))

    def _open(self) -> int:
        if self.access_log == log_file.STANDARD_OUTPUT and type(ctx.master).__name__ == "ConsoleMaster":
            raise OSError(0, "the console has the terminal; name a file")
        return log_file.open_log(self.access_log)

    def _writer_to(self, opened: int) -> log_file.LineWriter[Item]:
        written = formats.FORMATS[self.access_log_format](masking.mask_url)
        return log_file.LineWriter(opened, written.lines, warn_from_thread(logger, "access log: "))

    @in_background
    async def done(self) -> None:
        """Write the queued lines, and close the file."""
        await self._subscription.end()

    def reopen(self) -> None:
        """Open the file again, on SIGHUP: it may have been moved away to start a new one."""
        if (present := self._subscription.thread) is not None:
            present.reopen(self._open)

    async def statistics(self) -> Mapping[str, int]:
        """Return the number of lines written, and of those lost."""
        return self._subscription.statistics("lines")
