"""SIGTERM ends the proxy once responses in progress are complete, SIGHUP reloads files. Windows has neither."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable
from typing import Any

from mitmproxy import ctx, exceptions
from mitmproxy.addonmanager import Loader

from proxy_policies.background.tasks import spawn
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.finished.reporting import PROXY_ENDED
from proxy_policies.log_lines import error_text
from proxy_policies.patches import closing_alerts
from proxy_policies.patches.client_handlers import are_clients_left, end_clients
from proxy_policies.service import sd_notify
from proxy_policies.settings import Setting, parse_duration
from proxy_policies.signals import flows
from proxy_policies.start_up import early_hang_up
from proxy_policies.start_up.starting import started
from proxy_policies.worker_number import worker_number
from proxy_policies.workers import subprocesses

logger = logging.getLogger(__name__)

POLL_INTERVAL = 0.05  # seconds between checks for responses in progress
LAST_HOOKS = 2.0  # seconds for the hooks of connections that were ended
TUNNEL_ENDS = ("home", "work")
"""The reverse tunnel's addons, whose clients are not mitmproxy's."""
FILES = frozenset({"confdir", "certs", "client_certs", "ssl_verify_upstream_trusted_ca", "home_tls", "work_tls"})
"""Options that name files of certificates and keys, which are read when the options are reported as changed."""


class Signals:
    """Handles signals once mitmproxy runs; before, SIGTERM ends the process at once."""

    name = "signals"
    fast_paths = NO_OBJECTION
    grace_period = Setting(
        "10s", parse_duration, "How long responses and tunnels in progress may continue after SIGTERM."
    )

    def __init__(self) -> None:
        self.is_stopping = False
        """True after SIGTERM."""

    def load(self, loader: Loader) -> None:
        """Let no SIGHUP end the process while it starts."""
        early_hang_up.note()

    def running(self) -> None:
        """Add the signal handlers, and handle a SIGHUP that came while the proxy started."""
        self._add_handler("SIGTERM", self.stop)
        self._add_handler("SIGHUP", self.hang_up)
        if early_hang_up.take():
            self.hang_up()
        spawn(self._ready())

    async def _ready(self) -> None:
        """Notify systemd once clients are served; with several workers, the supervisor does."""
        await started()
        if not worker_number():
            sd_notify.notify(sd_notify.READY)

    def done(self) -> None:
        """Let mitmproxy handle SIGTERM; ignore SIGHUP, which would end the process while scripts are reloaded."""
        self._add_handler("SIGTERM", ctx.master.shutdown)
        self._add_handler("SIGHUP", lambda: None)

    def _add_handler(self, name: str, handler: Callable[[], None]) -> None:
        number: signal.Signals | None = getattr(signal, name, None)
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
            if number is not None:
                asyncio.get_running_loop().add_signal_handler(number, handler)

    # SIGTERM

    def stop(self) -> None:
        """End once everything in progress is finished, or after the grace period; if called again, end at once."""
        if self.is_stopping:
            spawn(end_proxy())
            return
        self.is_stopping = True
        sd_notify.notify(sd_notify.STOPPING)
        spawn(self._drain())

    async def _drain(self) -> None:
        """Finish what is in progress; whatever fails meanwhile, the proxy ends."""
        try:
            await self._finish()
        except Exception:
            logger.exception("stopping: an addon failed")
        await end_proxy()

    async def _finish(self) -> None:
        until = time.monotonic() + self.grace_period
        await asyncio.sleep(0)  # accept the connections that are waiting for it
        ctx.options.update(server=False)
        for end in filter(None, map(ctx.master.addons.get, TUNNEL_ENDS)):
            try:
                await end.drain()
            except Exception:
                logger.exception(f"stopping: {end.name} failed")
        if is_busy():
            logger.info(f"stopping: responses in progress have {self.grace_period:g} s to finish")
        while is_busy() and time.monotonic() < until:  # noqa: ASYNC110 - there is no event for a response that was sent
            await asyncio.sleep(POLL_INTERVAL)

    # SIGHUP

    def hang_up(self) -> None:
        """Reload files; but end if SIGHUP means that our terminal was closed."""
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
        reload_certificates()
        sd_notify.notify(sd_notify.READY)


async def end_proxy() -> None:
    """End clients' connections, so that addons can log what was in progress, and then mitmproxy."""
    try:
        end_clients(PROXY_ENDED)
        until = time.monotonic() + LAST_HOOKS
        while are_clients_left() and time.monotonic() < until:  # noqa: ASYNC110 - as above
            await asyncio.sleep(POLL_INTERVAL)
    finally:
        ctx.master.shutdown()


def is_busy() -> bool:
    """Return whether any client is being served or still connected; disconnect clients that are not served."""
    fastlane = ctx.master.addons.get("fastlane")
    addons = filter(None, (fastlane, *map(ctx.master.addons.get, TUNNEL_ENDS)))
    busy = any([addon.is_serving() for addon in addons])  # a list, as each call disconnects clients
    for handler in list(ctx.master.addons.get("proxyserver").connections.values()):
        if fastlane is not None and fastlane.find(handler.client.id):
            continue  # on a fast path, unknown to the layers
        busy = True
        if not flows.is_in_use(handler):
            closing_alerts.close_idle(handler)
    return busy


def reload_certificates() -> None:
    """Reload the files of certificates and keys; if one is invalid, keep all the previous ones."""
    tls: Any = ctx.master.addons.get("tlsconfig")
    before = tls.certstore if tls else None
    try:
        ctx.options.changed.send(updated=set(FILES.intersection(ctx.options.keys())))
    except (exceptions.OptionsError, OSError, ValueError) as error:
        if tls:
            tls.certstore = before
        logger.error(f"SIGHUP: {error_text(error)}; the previous certificates stay in use")
    else:
        logger.info("SIGHUP: certificates read again")
