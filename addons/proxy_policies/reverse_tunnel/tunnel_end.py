"""What both ends of the tunnel share as addons: options become a config, which is applied in the loop."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator

from proxy_policies.addresses import Address, format_target, is_loopback
from proxy_policies.background import Tasks, in_background
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.reverse_tunnel import options
from proxy_policies.reverse_tunnel.open_files import raise_open_file_limit
from proxy_policies.reverse_tunnel.reloaded_credentials import FollowedCredentials
from proxy_policies.settings import Setting, reject

with lazy_imports():
    from proxy_policies.reverse_tunnel import identity

logger = logging.getLogger(__name__)

LOOK_EVERY = 5.0  # seconds between looks at the certificate's files
END_WITHIN = 2.0  # seconds that mitmproxy waits for us when it ends
ONE_END = "a tunnel ends in one process; run a proxy of its own for it"
HEARTBEAT = "Reverse tunnel: heartbeat interval; a peer silent for three (of the longer side's) is disconnected."


class TunnelEnd(ABC):
    """One end: `Home` or `Work`, of which this says when it begins, changes and ends, one after the other."""

    tunnel_heartbeat = Setting("4s", options.parse_heartbeat, HEARTBEAT)
    kind = ""

    def __init__(self) -> None:
        self._credentials = FollowedCredentials(self.kind, self.renew)
        self._tasks = Tasks(self.kind)
        self._lock = asyncio.Lock()
        self._is_running = False
        self._has_begun = False
        self._doubts: set[str] = set()
        """Those that were said, and hold."""

    def configure(self, updated: set[str]) -> None:
        """Take changed options up; what is wrong with certificates or secrets is said at once."""
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
            self._tasks.spawn(self._take_up(updated))

    async def _take_up(self, updated: set[str]) -> None:
        """Do what changed options say, once every policy knows them."""
        self._say_doubts()
        if any(name.startswith((f"{self.kind}_", "tunnel_", "proxy_protocol")) for name in updated):
            await self._apply_if_wanted()

    async def _follow_certificate(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if self.is_on and self._credentials.look_again(*self.credentials_options()):
                self._tasks.spawn(self._apply())

    def _say_doubts(self) -> None:
        """Warn of what is doubtful by now, and was not yet."""
        doubts = list(self.doubts())
        for line in doubts:
            if line not in self._doubts:
                logger.warning(f"{self.kind}: {line}")
        self._doubts = set(doubts)

    @property
    def credentials(self) -> identity.Credentials:
        """Who we are, once this end has been on."""
        return self._credentials.current

    @in_background
    async def running(self) -> None:
        """Start."""
        self._is_running = True
        self._tasks.spawn(self._follow_certificate())
        self._say_doubts()
        if self.is_on:
            raise_open_file_limit()
        await self._apply_if_wanted()

    @in_background
    async def done(self) -> None:
        """End."""
        self._is_running = False
        await self._tasks.cancel()
        if self._has_begun:
            async with asyncio.timeout(END_WITHIN):
                await self.end()

    async def drain(self) -> None:
        """Begin no session any more; those that live go on."""
        async with self._lock:
            await self.stop_beginning()

    async def _apply_if_wanted(self) -> None:
        if self._is_running and (self._has_begun or self.is_on):
            await self._apply()

    async def _apply(self) -> None:
        if self.is_on and not self._credentials.is_known:
            return  # nobody could tell who we are, nor we who asks; why is said where they were to be loaded
        self._has_begun = True
        async with self._lock:
            await self.apply()

    @property
    @abstractmethod
    def is_on(self) -> bool:
        """Return whether this end is wanted."""

    @abstractmethod
    def credentials_options(self) -> tuple[str, str]:
        """Return the options that say who we are."""

    @abstractmethod
    def plaintext_address(self) -> Address | None:
        """Return the address that plain bytes would go over."""

    def warn_if_plaintext(self) -> None:
        """Warn where the connection is neither encrypted nor authenticated."""
        address = self.plaintext_address()
        if self.credentials.mode is identity.Mode.NONE and address and not is_loopback(address[0]):
            shown = format_target(*address)
            logger.warning(f"{self.kind}_tls=none: the tunnel over {shown} is neither encrypted nor authenticated")

    @abstractmethod
    def doubts(self) -> Iterator[str]:
        """Return what to warn of: options that were hardly meant."""

    @abstractmethod
    async def apply(self) -> None:
        """Do what the options say."""

    @abstractmethod
    def renew(self, credentials: identity.Credentials) -> None:
        """Show another certificate of the same name."""

    @abstractmethod
    async def stop_beginning(self) -> None:
        """Let no client in any more."""

    @abstractmethod
    def is_serving(self) -> bool:
        """Return whether a session lives."""

    @abstractmethod
    async def end(self) -> None:
        """End everything."""
