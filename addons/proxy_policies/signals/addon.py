"""SIGTERM lets answers in flight be finished, SIGHUP has files read again. Windows has neither."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable
from typing import Any

from mitmproxy import ctx, exceptions

from proxy_policies.background import spawn
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.patches import closing_alerts
from proxy_policies.service import sd_notify
from proxy_policies.settings import Setting, parse_duration, started
from proxy_policies.signals import flows
from proxy_policies.worker_number import worker_number
from proxy_policies.workers import subprocesses

logger = logging.getLogger(__name__)

LOOK_EVERY = 0.05  # seconds between two looks at who is still at work
TUNNEL_ENDS = ("home", "work")
"""The reverse tunnel's addons, whose clients are none of mitmproxy's."""
FILES = frozenset({"confdir", "certs", "client_certs", "ssl_verify_upstream_trusted_ca", "home_tls", "work_tls"})
"""Options that name files with certificates and keys, which are read again when they are reported as changed."""


class Signals:
    """Handles signals from `running` on; before, they end the process at once."""

    name = "signals"
    fast_paths = NO_OBJECTION
    grace_period = Setting(
        "10s", parse_duration, "How long responses and tunnels in progress may continue after SIGTERM."
    )

    def __init__(self) -> None:
        self.is_stopping = False
        """SIGTERM has come."""

    def running(self) -> None:
        """Add the handlers."""
        self._add_handler("SIGTERM", self.stop)
        self._add_handler("SIGHUP", self.hang_up)
        spawn(self._ready())

    async def _ready(self) -> None:
        """Say so once clients are served; of several workers the supervisor does."""
        await started()
        if not worker_number():
            sd_notify.notify(sd_notify.READY)

    def done(self) -> None:
        """Leave SIGTERM to mitmproxy again; SIGHUP would end the process, and is ignored until we are back."""
        self._add_handler("SIGTERM", ctx.master.shutdown)
        self._add_handler("SIGHUP", lambda: None)

    def _add_handler(self, name: str, what: Callable[[], None]) -> None:
        number: signal.Signals | None = getattr(signal, name, None)
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
            if number is not None:
                asyncio.get_running_loop().add_signal_handler(number, what)

    # SIGTERM

    def stop(self) -> None:
        """End when all that is under way is finished, or the grace period is over; called again, end at once."""
        if self.is_stopping:
            ctx.master.shutdown()
            return
        self.is_stopping = True
        sd_notify.notify(sd_notify.STOPPING)
        spawn(self._drain())

    async def _drain(self) -> None:
        until = time.monotonic() + self.grace_period
        await asyncio.sleep(0)  # who has been waiting to be accepted is
        ctx.options.update(server=False)
        for end in filter(None, map(ctx.master.addons.get, TUNNEL_ENDS)):
            await end.drain()
        if is_busy():
            logger.info(f"stopping: responses in progress have {self.grace_period:g} s to finish")
        while is_busy() and time.monotonic() < until:  # noqa: ASYNC110 - there is no event for an answer that has left
            await asyncio.sleep(LOOK_EVERY)
        ctx.master.shutdown()

    # SIGHUP

    def hang_up(self) -> None:
        """Read files again; where it says that our terminal is gone, end instead."""
        if subprocesses.is_terminal_gone():
            self.stop()
            return
        sd_notify.notify(sd_notify.reloading())
        policy_file = ctx.master.addons.get("policy_file")
        if policy_file is not None:
            policy_file.read_again()
        access_log = ctx.master.addons.get("access_log")
        if access_log is not None:
            access_log.reopen()
        read_certificates_again()
        sd_notify.notify(sd_notify.READY)


def is_busy() -> bool:
    """Return whether anybody is being served, or still connected; clients that are not served are disconnected."""
    fastlane = ctx.master.addons.get("fastlane")
    addons = filter(None, (fastlane, *map(ctx.master.addons.get, TUNNEL_ENDS)))
    busy = any([addon.is_serving() for addon in addons])  # all are asked
    for handler in list(ctx.master.addons.get("proxyserver").connections.values()):
        if fastlane is not None and fastlane.find(handler.client.id):
            continue  # borrowed: the layers do not know what goes on there
        busy = True
        if not flows.is_at_work(handler):
            closing_alerts.leave(handler)
    return busy


def read_certificates_again() -> None:
    """Have files of certificates and keys read again; what cannot be read leaves everything as it was."""
    tls: Any = ctx.master.addons.get("tlsconfig")
    before = tls.certstore if tls else None
    try:
        ctx.options.changed.send(updated=set(FILES.intersection(ctx.options.keys())))
    except (exceptions.OptionsError, OSError, ValueError) as error:
        if tls:
            tls.certstore = before
        logger.error(f"SIGHUP: {error}; the previous certificates stay in use")
    else:
        logger.info("SIGHUP: certificates read again")
