"""The dashboard policy: a page that shows live what the proxy does."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from functools import partial
from hashlib import blake2s
from secrets import token_bytes
from typing import Any

from mitmproxy import ctx

from proxy_policies.addresses import Address, format_target, is_loopback
from proxy_policies.background.tasks import in_background, spawn
from proxy_policies.counting import statistics
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.finished import reporting
from proxy_policies.flows.request_summary import LONGEST_TEXT
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.log_lines import printable
from proxy_policies.options.parsers import parse_page_address
from proxy_policies.settings import Setting, reject
from proxy_policies.start_up.starting import start_errors
from proxy_policies.web_pages.optional_page import OptionalPage

with lazy_imports():
    from proxy_policies.capture.secrets import masking
    from proxy_policies.control import messages
    from proxy_policies.counting import shared
    from proxy_policies.dashboard import access, flows, server
    from proxy_policies.dashboard import series as points
    from proxy_policies.web_pages import page_server

logger = logging.getLogger(__name__)

SAMPLE_INTERVAL = 1.0
"""Seconds between two points of the charts."""
MAX_ROWS = 200
"""Rows of a table, so that the page is not slow."""


def parse_password(text: str) -> str:
    """Return a password; "" for none. Raise ValueError if it is too short or not printable."""
    if text and (len(text) < access.MIN_LENGTH or not text.isprintable()):
        raise ValueError(f"write at least {access.MIN_LENGTH} characters, or nothing for a token that is printed")
    return text


class Dashboard:
    """Counts, and serves the page, while `dashboard` is set."""

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
        self._page = OptionalPage(self._ended)
        self._series: points.Series | None = None
        self._task: asyncio.Task[None] | None = None
        self._served: tuple[Address | None, str] = (None, "")
        """The address and password last chosen: options are reported more than once, by a policy file for one."""
        self._secret = token_bytes(16)
        self.url = ""
        """The page's URL, with the generated token; empty while it is off."""

    def configure(self, updated: set[str]) -> None:
        """Listen on the chosen address; if that fails, keep the previous one."""
        chosen = (self.dashboard, self.dashboard_password)
        if not updated & {"dashboard", "dashboard_password"} or chosen == self._served:
            return
        if self.dashboard is not None and not self._is_local and not self.dashboard_password:
            reject(f"option dashboard={ctx.options.dashboard!r}: set dashboard_password, or listen on 127.0.0.1")
            return
        try:
            self._page.move(self.dashboard, partial(self._begin, self.dashboard_password, self._is_local))
        except OSError as error:
            reject(f"option dashboard={ctx.options.dashboard!r}: cannot listen: {error.strerror or error}")
            return
        self._served = chosen

    @property
    def _is_local(self) -> bool:
        return self.dashboard is not None and is_loopback(self.dashboard[0])

    def _begin(self, password: str, is_local: bool, sockets: list[socket.socket]) -> page_server.PageServer:
        allowed = access.Access(password)
        shared.COUNTING.begin()
        self._series = points.Series()
        self._task = spawn(self._sample(self._series))
        api: dict[str, server.ApiCall] = {
            "get now": self.now,
            "get entries": self.entries,
            "get tunnels": self.tunnels,
            "get flows": self.flows,
            "post purge": self.purge,
            "post close": self.close,
        }
        host, port, *_ = sockets[0].getsockname()
        token = f"?token={allowed.token}" if allowed.token else ""
        self.url = f"http://{format_target(host, port)}/{token}"
        if not start_errors():
            logger.info(f"dashboard: {self.url}")
        return server.serve(sockets, allowed, is_local, api)

    def _ended(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._series, self._task, self.url = None, None, ""
        shared.COUNTING.end()

    @in_background
    async def done(self) -> None:
        """Stop listening."""
        await self._page.close()

    async def _sample(self, series: points.Series) -> None:
        while True:
            counters = shared.COUNTING.read()
            series.add(round(time.time(), 3), counters.totals(), counters.times())
            await asyncio.sleep(SAMPLE_INTERVAL)

    # The page's API

    async def now(self, since: str = "0") -> dict[str, Any]:
        """Return the points after a time (POSIX time, seconds), and the present state."""
        if self._series is None:
            raise ValueError("the dashboard is off")
        counters = shared.COUNTING.read()
        return {
            "points": self._series.since(float(since)),
            "totals": dict(counters.totals()),
            "percentiles": self._series.percentiles(),
            "hosts": [[_shown(host), *counts] for host, *counts in counters.top_hosts()],
            "slowest": [_slow(record) for record in counters.slowest()],
            "status": await _control("status"),
            "policies": await statistics.of_policies(),
        }

    async def entries(self, text: str = "") -> dict[str, Any]:
        """Return the cache's entries whose keys contain a text."""
        found: Any = await _control("cache.list", text)
        shown = zip(found["data"][:MAX_ROWS], found["lines"][:MAX_ROWS], strict=True)
        return {"all": len(found["lines"]), "rows": [self._entry(one["key"], line) for one, line in shown]}

    def _entry(self, key: str, line: str) -> dict[str, str]:
        state = line.removeprefix(key).lstrip()
        return {"id": self._id(key), "shown": _shown(key), "state": printable(state)}

    def _id(self, key: str) -> str:
        """Return an id for a key on the page: the key may contain a secret."""
        return blake2s(key.encode("utf-8", "surrogatepass"), key=self._secret, digest_size=12).hexdigest()

    async def tunnels(self) -> dict[str, Any]:
        """Return the open streams, and the state of the reverse tunnel."""
        try:
            found: Any = await _control("tunnel.status")
            home = found["lines"]
        except ValueError:  # the home policy is not loaded
            home = []
        return {"streams": flows.rows(time.time()), "home": [printable(line) for line in home][:MAX_ROWS]}

    async def flows(self, text: str = "") -> list[dict[str, Any]]:
        """Return the decisions about recent flows whose title contains a text, the latest first."""
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
        """Remove everything stored for the URL of an entry, with all its variants."""
        found: Any = await _control("cache.list", "")
        url = next((one["url"] for one in found["data"] if self._id(one["key"]) == entry), None)
        if url is None:
            raise ValueError("it is no longer stored")
        purged: Any = await _control("cache.purge", f"url:{url}")
        return purged["lines"]

    async def close(self, stream: str = "", session: str = "") -> object:
        """Close a stream by its id, or a session of the reverse tunnel by its number."""
        if stream:
            return flows.close(stream)
        closed: Any = await _control("tunnel.close", session)
        return closed["lines"]


async def _control(command: str, *arguments: str) -> object:
    """Return the result of a command of the control socket. Raise ValueError."""
    control: Any = ctx.master.addons.get("control")
    if control is None:
        raise ValueError("the control policy is not loaded")
    return await control.answer(messages.Question(command, arguments))


def _shown(text: bytes | str) -> str:
    """Return a client's text with secrets masked and control characters escaped."""
    decoded = text if isinstance(text, str) else text.decode("utf-8", "backslashreplace")
    return printable(masking.mask_url(decoded))[:LONGEST_TEXT]


def _slow(record: reporting.Record) -> dict[str, Any]:
    request = record.request
    return {
        "request": _shown(b" ".join((request.method, request.target))),
        "host": _shown(request.host),
        "status": record.status,
        "seconds": round(record.seconds, 4),
        "cache": printable(record.cache),
        "at": round(record.started + record.seconds, 3),
    }
