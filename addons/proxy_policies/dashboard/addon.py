"""The dashboard policy: a page that shows what the proxy does, as it does it."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from hashlib import blake2s
from secrets import token_bytes
from typing import Any

from mitmproxy import ctx

from proxy_policies import statistics
from proxy_policies.addresses import Address, format_target, is_loopback
from proxy_policies.asked import LONGEST_TEXT
from proxy_policies.background import in_background, spawn
from proxy_policies.cache.rfc9111.key import url_of
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.finished import reporting
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.log_lines import printable
from proxy_policies.option_parsers import parse_page_address
from proxy_policies.settings import Setting, reject

with lazy_imports():
    from proxy_policies import page_server
    from proxy_policies.capture.secrets import masking
    from proxy_policies.control import messages
    from proxy_policies.counting import shared
    from proxy_policies.dashboard import access, flows, server
    from proxy_policies.dashboard import series as points

logger = logging.getLogger(__name__)

NOT_SERVED: tuple[Address | None, str] = (None, "")
"""Neither an address nor a password."""
EVERY = 1.0
"""Seconds that a point of the charts stands for."""
ROWS = 200
"""Rows of a table at most: what a page shows without being slow."""


def parse_password(text: str) -> str:
    """Read a password; "" for none. Raises ValueError."""
    if text and (len(text) < access.LEAST or not text.isprintable()):
        raise ValueError(f"write at least {access.LEAST} characters, or nothing for a token that is printed")
    return text


class Dashboard:
    """Counts, and serves the page, while `dashboard` says where."""

    name = "dashboard"
    fast_paths = NO_OBJECTION
    dashboard = Setting(
        "off",
        parse_page_address,
        "Serve a live dashboard on PORT (of 127.0.0.1), HOST:PORT or *:PORT (worker N: that port + N-1); off.",
    )
    dashboard_password = Setting(
        "",
        parse_password,
        "Password for the dashboard; without one, a token is printed. Required for access from other machines.",
    )

    def __init__(self) -> None:
        self._series: points.Series | None = None
        self._server: page_server.PageServer | None = None
        self._task: asyncio.Task[None] | None = None
        self._served = NOT_SERVED
        self._secret = token_bytes(16)
        self.url = ""
        """Where the page is, with the token that was made; empty while it is off."""

    def configure(self, updated: set[str]) -> None:
        """Listen where was chosen; where that cannot be, go on where it is done."""
        wanted = (self.dashboard, self.dashboard_password)
        if not updated & {"dashboard", "dashboard_password"} or wanted == self._served:
            return
        if self.dashboard is not None and not self._is_local and not self.dashboard_password:
            reject(f"option dashboard={ctx.options.dashboard!r}: set dashboard_password, or listen on 127.0.0.1")
            return
        try:
            sockets = self._bind(self.dashboard)
        except OSError as error:
            reject(f"option dashboard={ctx.options.dashboard!r}: cannot listen: {error.strerror or error}")
            return
        self._end()
        if sockets:
            self._start(sockets)
        self._served = wanted

    def _bind(self, address: Address | None) -> list[socket.socket]:
        before = self._served[0]
        if before and address and before[1] == address[1]:
            self._end()  # two cannot listen on one port
        return page_server.bind(*address) if address else []

    def _end(self) -> None:
        self._served = NOT_SERVED
        if (ended := self._stop()) is not None:
            spawn(ended.close())

    @property
    def _is_local(self) -> bool:
        return self.dashboard is not None and is_loopback(self.dashboard[0])

    def _start(self, sockets: Any) -> None:
        allowed = access.Access(self.dashboard_password)
        shared.COUNTING.begin()
        self._series = points.Series()
        self._task = spawn(self._sample(self._series))
        ask: dict[str, server.Ask] = {
            "get now": self.now,
            "get entries": self.entries,
            "get tunnels": self.tunnels,
            "get flows": self.flows,
            "post purge": self.purge,
            "post close": self.close,
        }
        self._server = server.serve(sockets, allowed, self._is_local, ask)
        self._server.start()
        host, port, *_ = sockets[0].getsockname()
        token = f"?token={allowed.token}" if allowed.token else ""
        self.url = f"http://{format_target(host, port)}/{token}"
        logger.info(f"dashboard: {self.url}")

    def _stop(self) -> page_server.PageServer | None:
        if self._task is not None:
            self._task.cancel()
        ended, self._server, self._series, self._task = self._server, None, None, None
        if ended is not None:
            ended.stop()
            self.url = ""
            shared.COUNTING.end()
        return ended

    @in_background
    async def done(self) -> None:
        """Listen no more."""
        if (ended := self._stop()) is not None:
            await ended.close()

    async def _sample(self, series: points.Series) -> None:
        while True:
            counted = shared.COUNTING.read()
            series.add(round(time.time(), 3), counted.totals(), counted.times())
            await asyncio.sleep(EVERY)

    # What the page asks for

    async def now(self, since: str = "0") -> dict[str, Any]:
        """Return the points after a time, and what else is to be seen at once."""
        if self._series is None:
            raise ValueError("the dashboard is off")
        counted = shared.COUNTING.read()
        return {
            "points": self._series.since(float(since)),
            "totals": dict(counted.totals()),
            "percentiles": self._series.percentiles(),
            "hosts": [[_shown(host), *counts] for host, *counts in counted.top_hosts()],
            "slowest": [_slow(what) for what in counted.slowest()],
            "status": await _control("status"),
            "policies": await statistics.of_policies(),
        }

    async def entries(self, text: str = "") -> dict[str, Any]:
        """Return what is stored."""
        lines: Any = await _control("cache.list", text)
        return {"all": len(lines), "rows": [self._entry(line) for line in lines[:ROWS]]}

    def _entry(self, line: str) -> dict[str, str]:
        key, _, state = line.rpartition("  ")
        return {"id": self._id(key), "shown": _shown(key), "state": printable(state)}

    def _id(self, key: str) -> str:
        """Return what stands for a key, which may have a secret in it, on the page."""
        return blake2s(key.encode("utf-8", "surrogatepass"), key=self._secret, digest_size=12).hexdigest()

    async def tunnels(self) -> dict[str, Any]:
        """Return the streams that are open, and what the reverse tunnel has."""
        try:
            home: Any = await _control("tunnel.status")
        except ValueError:  # there is none
            home = []
        return {"streams": flows.rows(time.time()), "home": [printable(line) for line in home][:ROWS]}

    async def flows(self, text: str = "") -> list[dict[str, Any]]:
        """Return what was decided about the last flows, the last one first."""
        found: Any = await _control("explain", text, "50")
        return [
            {
                "ended": one["ended"],
                "flow": _shown(one["flow"]),
                "outcome": one["outcome"],
                "lines": [_shown(line) for line in one["lines"]],
            }
            for one in reversed(found)
        ]

    async def purge(self, entry: str) -> object:
        """Remove what is stored under the URL of an entry, with all its variants."""
        lines: Any = await _control("cache.list", "")
        found = (key for line in lines if self._id(key := line.rpartition("  ")[0]) == entry)
        key = next(found, None)
        if key is None:
            raise ValueError("it is no longer stored")
        return await _control("cache.purge", f"url:{url_of(key)}")

    async def close(self, stream: str = "", session: str = "") -> object:
        """Close a stream by its id, or a session of the reverse tunnel by its number."""
        return flows.close(stream) if stream else await _control("tunnel.close", session)


async def _control(command: str, *arguments: str) -> object:
    """Return what `proxy-policies` would be answered; raises ValueError."""
    control: Any = ctx.master.addons.get("control")
    if control is None:
        raise ValueError("the control policy is not loaded")
    return await control.answer(messages.Question(command, arguments))


def _shown(text: bytes | str) -> str:
    """Return a text of a client's without secrets, and without what changes how others are seen."""
    decoded = text if isinstance(text, str) else text.decode("utf-8", "backslashreplace")
    return printable(masking.mask_url(decoded))[:LONGEST_TEXT]


def _slow(what: reporting.Finished) -> dict[str, Any]:
    asked = what.asked
    return {
        "request": _shown(b" ".join((asked.method, asked.target))),
        "host": _shown(asked.host),
        "status": what.status,
        "seconds": round(what.seconds, 4),
        "cache": printable(what.cache),
        "at": round(what.started + what.seconds, 3),
    }
