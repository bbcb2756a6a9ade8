"""What the addons of both ends of the tunnel share: options become a config, which is applied in the event loop."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from mitmproxy import ctx
from mitmproxy.addonmanager import Loader

from proxy_policies.addresses import Address, format_target, is_loopback
from proxy_policies.background.tasks import Tasks, in_background
from proxy_policies.control.command_results import LinesResult
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.limits.open_files import raise_open_file_limit
from proxy_policies.reverse_tunnel import options
from proxy_policies.reverse_tunnel.reloaded_credentials import ReloadedCredentials
from proxy_policies.settings import Setting, reject

with lazy_imports():
    from proxy_policies.reverse_tunnel import identity

logger = logging.getLogger(__name__)

POLL_INTERVAL = 5.0  # seconds between checks of the certificate's files
END_TIMEOUT = 2.0  # seconds that mitmproxy waits for us when it ends
ONE_END = "a tunnel ends in one process; run a proxy of its own for it"
OFF = "neither home_listen nor work_home is set: this proxy is no end of a tunnel"
HEARTBEAT = "Reverse tunnel: heartbeat interval; a peer silent for three (of the longer side's) is disconnected."


class TunnelEnd(ABC):
    """One end, `Home` or `Work`: starts, changes and ends it, one at a time."""

    tunnel_heartbeat = Setting("4s", options.parse_heartbeat, HEARTBEAT)
    kind = ""

    def __init__(self) -> None:
        self._credentials = ReloadedCredentials(self.kind, self.renew)
        self._tasks = Tasks(self.kind)
        self._lock = asyncio.Lock()
        self._is_running = False
        self._was_applied = False
        self._warnings: set[str] = set()
        """The present warnings, which were logged."""

    def load(self, loader: Loader) -> None:
        """Declare the command, which is the same for both ends."""
        loader.add_command("tunnel.status", tunnel_status)

    def configure(self, updated: set[str]) -> None:
        """Apply changed options; report errors of certificates and secrets at once."""
        if updated & {f"{self.kind}_{name}" for name in ("tls", "secret", "home", "listen")} and self.is_on:
            try:
                self._credentials.load(*self.credentials_options())
            except ValueError as error:
                reject(str(error))
                return
            self.warn_if_plaintext()
            if self.credentials.is_guessable:
                logger.warning(f"{self.kind}_secret can be guessed; a random one: openssl rand -hex 16")
        if self._is_running:
            self._tasks.spawn(self._apply_changes(updated))

    async def _apply_changes(self, updated: set[str]) -> None:
        """Apply changed options, once every policy has them."""
        self._log_warnings()
        if any(name.startswith((f"{self.kind}_", "tunnel_", "proxy_protocol")) for name in updated):
            await self._apply_if_wanted()

    async def _follow_certificate(self) -> None:
        while True:
            await asyncio.sleep(POLL_INTERVAL)
            if self.is_on and self._credentials.reload_if_changed(*self.credentials_options()):
                self._tasks.spawn(self._apply())

    def _log_warnings(self) -> None:
        """Log new warnings."""
        warnings = list(self.warnings())
        for line in warnings:
            if line not in self._warnings:
                logger.warning(f"{self.kind}: {line}")
        self._warnings = set(warnings)

    @property
    def credentials(self) -> identity.Credentials:
        """The credentials; only once they were loaded."""
        return self._credentials.current

    @in_background
    async def running(self) -> None:
        """Start."""
        self._is_running = True
        self._tasks.spawn(self._follow_certificate())
        self._log_warnings()
        if self.is_on:
            raise_open_file_limit()
        await self._apply_if_wanted()

    @in_background
    async def done(self) -> None:
        """End, unless the script was loaded again: its new version goes on."""
        self._is_running = False
        successor = ctx.master.addons.get(self.kind)
        if self._was_applied and isinstance(successor, type(self)) and successor is not self:
            successor._was_applied, self._was_applied = True, False
            successor._credentials = self._credentials
            if successor.is_on:
                successor._credentials.load(*successor.credentials_options())
            successor.go_on(self)
        await self._tasks.cancel()
        if self._was_applied:
            async with asyncio.timeout(END_TIMEOUT):
                await self.end()

    async def drain(self) -> None:
        """Accept no new sessions; open ones continue."""
        async with self._lock:
            await self.stop_accepting()

    async def _apply_if_wanted(self) -> None:
        if self._is_running and (self._was_applied or self.is_on):
            await self._apply()

    async def _apply(self) -> None:
        if self.is_on and not self._credentials.is_known:
            return  # without credentials; the reason was logged when they were loaded
        self._was_applied = True
        async with self._lock:
            await self.apply()

    @property
    @abstractmethod
    def is_on(self) -> bool:
        """Return whether this end is enabled by its options."""

    @abstractmethod
    def status(self) -> tuple[list[str], dict[str, Any]]:
        """Return lines on what is connected, and the same as an object of JSON."""

    @abstractmethod
    def credentials_options(self) -> tuple[str, str]:
        """Return the values of the options for credentials: TLS and secret."""

    @abstractmethod
    def plaintext_address(self) -> Address | None:
        """Return the address of connections that would not be encrypted; None if there are none."""

    def warn_if_plaintext(self) -> None:
        """Warn if connections are neither encrypted nor authenticated."""
        address = self.plaintext_address()
        if self.credentials.mode is identity.Mode.NONE and address and not is_loopback(address[0]):
            shown = format_target(*address)
            logger.warning(f"{self.kind}_tls=none: the tunnel over {shown} is neither encrypted nor authenticated")

    @abstractmethod
    def warnings(self) -> Iterator[str]:
        """Return warnings about combinations of options that are probably mistakes."""

    @abstractmethod
    async def apply(self) -> None:
        """Apply the options."""

    @abstractmethod
    def go_on(self, former: Any) -> None:
        """Use the connections and sessions of an addon of the same class that ends now."""

    @abstractmethod
    def renew(self, credentials: identity.Credentials) -> None:
        """Use a renewed certificate of the same name."""

    @abstractmethod
    async def stop_accepting(self) -> None:
        """Accept no more clients."""

    @abstractmethod
    def is_serving(self) -> bool:
        """Return whether there is an open session."""

    @abstractmethod
    async def end(self) -> None:
        """End everything."""


def tunnel_status() -> Sequence[str]:
    """Return lines on the works and sessions of home, and on the connection of work to home."""
    ends = [end for end in ctx.master.addons.lookup.values() if isinstance(end, TunnelEnd) and end.is_on]
    if not ends:
        return LinesResult([OFF], {}, error=OFF)
    lines, data = list[str](), dict[str, Any]()
    for end in ends:
        more_lines, more_data = end.status()
        lines, data = lines + more_lines, data | more_data
    return LinesResult(lines, data)
