"""The tunnel's end behind the firewall, as an addon."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from mitmproxy import ctx

from proxy_policies.addresses import Address
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.reverse_tunnel import options
from proxy_policies.reverse_tunnel.tunnel_end import ONE_END, TunnelEnd
from proxy_policies.settings import Setting, as_text, reject

with lazy_imports():
    from proxy_policies.reverse_tunnel import identity
    from proxy_policies.reverse_tunnel.work import agent, status


class Work(TunnelEnd):
    """Connects to home, and offers services."""

    name = kind = "work"
    fast_paths = NO_OBJECTION
    work_home = Setting(
        "", options.parse_home, "Reverse tunnel: address of home, HOST:PORT or NAME@HOST:PORT.", single_process=ONE_END
    )
    work_name = Setting("work", options.parse_name, "Reverse tunnel: work's name, if it has no certificate.")
    work_services = Setting(
        (),
        options.parse_services,
        "Reverse tunnel: a service to offer, SERVICE=HOST:PORT[,proxy] (PROXY v2); may be repeated.",
    )
    work_tls = Setting(
        "certs/work",
        as_text,
        "Reverse tunnel: work's certificate folder, or secret (needs work_secret), or none (plaintext).",
    )
    work_secret = Setting("", as_text, "Reverse tunnel: secret shared with home, or @FILE to read it from.")
    work_pool = Setting("2", options.parse_spares, "Reverse tunnel: data connections to keep ready, 0 to 16.")

    @cached_property
    def _work(self) -> agent.WorkAgent:
        """The work without mitmproxy, created when first used."""
        return agent.WorkAgent()

    def configure(self, updated: set[str]) -> None:
        """Apply changed options; reject a name for home without certificates, which prove it."""
        if self.work_home and self.work_home.name and self.work_tls in identity.UNCERTIFIED:
            reject(f"work_home names home {self.work_home.name}, which takes certificates; work_tls={self.work_tls}")
            return
        super().configure(updated)

    @property
    def is_on(self) -> bool:
        """Return whether work_home is set."""
        return self.work_home is not None

    def status(self) -> tuple[list[str], dict[str, Any]]:
        """Return a line on the connection to home."""
        return status.status(self._work)

    def credentials_options(self) -> tuple[str, str]:
        """Return work_tls and work_secret."""
        return self.work_tls, self.work_secret

    def plaintext_address(self) -> Address | None:
        """Return home's address."""
        return self.work_home.address if self.work_home else None

    async def apply(self) -> None:
        """Apply the options."""
        config = agent.WorkConfig(
            self.work_home,
            self.credentials.name or self.work_name,
            self.credentials,
            self.tunnel_heartbeat,
            self.work_services,
            self.work_pool,
        )
        await self._work.apply(config)

    def go_on(self, former: Work) -> None:
        """Use the connection to home, and the sessions, of an addon that ends now."""
        self._work = former._work

    def renew(self, credentials: identity.Credentials) -> None:
        """Use a renewed certificate of the same name."""
        self._work.renew(credentials)

    def warnings(self) -> Iterator[str]:
        """Return warnings that no service is offered."""
        if self.work_services and not self.is_on:
            yield "work_services is set and work_home is not: nothing is offered"
        elif not self.is_on and "home_listen" not in ctx.options:  # work's script alone
            yield "work_home is not set: nothing is offered; work --home HOST:PORT --service NAME=HOST:PORT"

    async def stop_accepting(self) -> None:
        """Leave home, which then uses other works."""
        await self._work.leave()

    def is_serving(self) -> bool:
        """Return whether a session with a service is open."""
        return self._work.sessions > 0

    async def end(self) -> None:
        """End everything."""
        await self._work.close()
