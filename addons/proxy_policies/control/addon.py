"""The control socket, on which a running proxy answers `proxy-policies stats`, `explain`, `tunnel` and `cache`."""

from __future__ import annotations

import inspect
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mitmproxy import ctx, exceptions

from proxy_policies.background.tasks import spawn
from proxy_policies.control.command_results import LineResult, text_and_data
from proxy_policies.counting import statistics
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.options.files import expand_home
from proxy_policies.script_paths import own_command
from proxy_policies.settings import Setting, parse_switch
from proxy_policies.start_up import requirements
from proxy_policies.start_up.starting import started
from proxy_policies.version import VERSION
from proxy_policies.worker_number import worker_number

with lazy_imports():
    from proxy_policies.control import messages, server, socket_files

logger = logging.getLogger(__name__)

COMMANDS = ("cache.", "policy.stats", "tunnel.")
"""Prefixes of the mitmproxy commands that are allowed: others may need flows, which cannot be named from outside."""
ASKED = ("cache", "dashboard", "explain")
"""Addons that only some scripts load, and about which one may ask."""
TUNNEL_ENDS = ("home", "work")
"""Addons whose `is_on` tells whether this process is that end of the reverse tunnel."""


class Control:
    """Listens on a socket in the confdir while the proxy runs."""

    name = "control"
    fast_paths = NO_OBJECTION
    control_socket = Setting(
        "on",
        parse_switch,
        "Answer `proxy-policies stats`, explain, cache … over a socket in confdir that only this user can open.",
    )

    def __init__(self) -> None:
        self._server: server.ControlServer | None = None
        self._path: Path | None = None
        self._since = time.time()
        self._is_running = False

    def configure(self, updated: set[str]) -> None:
        """Start or stop listening."""
        if "control_socket" in updated and self._is_running:
            self._close()
            spawn(self._open())

    def running(self) -> None:
        """Listen once every addon runs, without delaying the start."""
        self._is_running = True
        spawn(self._open())

    def done(self) -> None:
        """Stop listening."""
        self._is_running = False
        self._close()

    async def _open(self) -> None:
        await started()
        if not (self._is_running and self.control_socket and hasattr(socket, "AF_UNIX")):
            return
        try:  # late imports open files, too
            control_server = server.ControlServer(self.answer)
            listening = self._listen()
        except OSError as error:
            logger.warning(
                f"control: no socket in confdir: {error.strerror}; {own_command()} stats cannot find this proxy"
            )
            return
        self._server = control_server
        await control_server.start(listening)

    def _listen(self) -> socket.socket:
        confdir = expand_home(ctx.options.confdir)
        socket_files.remove_stale(confdir)
        self._path = socket_files.folder_of(confdir) / f"{os.getpid()}.sock"
        return socket_files.listen(self._path)

    def _close(self) -> None:
        if self._server is not None and self._path is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
            self._server = None

    async def answer(self, question: messages.Question) -> object:
        """Return the answer to a question. Raise ControlError."""
        own: Mapping[str, Callable[..., object]] = {
            "status": self.status,
            "stats": self.stats,
            "explain": self.explain,
            "dashboard": self.dashboard,
        }
        if question.command in own:
            result = own[question.command](*question.arguments)
            return await result if inspect.isawaitable(result) else result
        if not question.command.startswith(COMMANDS):
            raise messages.ControlError(f"unknown command {question.command!r}")
        try:
            result = ctx.master.commands.call_strings(question.command, list(question.arguments))
        except (exceptions.CommandError, ValueError) as error:
            raise messages.ControlError(str(error)) from None
        wait = getattr(result, "awaited_result", None)
        return text_and_data(await wait() if wait is not None else result)

    def status(self) -> dict[str, Any]:
        """Return what distinguishes this proxy from others: its process, addresses, modes, tunnel ends and versions."""
        proxyserver: Any = ctx.master.addons.get("proxyserver")
        addresses = [f"{host}:{port}" for host, port, *_ in proxyserver.listen_addrs()]
        return {
            "pid": os.getpid(),
            "addresses": addresses,
            "modes": list(ctx.options.mode) if ctx.options.server else [],
            "tunnel_ends": [end for end in TUNNEL_ENDS if getattr(ctx.master.addons.get(end), "is_on", False)],
            "policies": [name for name in ASKED if ctx.master.addons.get(name) is not None],
            "version": VERSION,
            "mitmproxy": requirements.mitmproxy_version(),
            "seconds": round(time.time() - self._since, 1),
            "worker": worker_number(),
        }

    async def stats(self) -> dict[str, Any]:
        """Return the status, and the counters of all policies."""
        return {**self.status(), "policies": await statistics.of_policies()}

    def explain(self, text: str = "", last: str = "20") -> list[dict[str, Any]]:
        """Return the decisions about the last flows whose title contains a text, oldest first."""
        explain: Any = ctx.master.addons.get("explain")
        if explain is None:
            raise messages.ControlError("the explain policy is not loaded")
        return [one.as_json() for one in explain.recent.find(text, int(last))]

    def dashboard(self) -> Mapping[str, object]:
        """Return the dashboard's URL, with its token: only the proxy's user can open this socket."""
        dashboard: Any = ctx.master.addons.get("dashboard")
        if dashboard is None or not dashboard.url:
            raise messages.ControlError("its dashboard is off: --set dashboard=8082 turns it on")
        return text_and_data(LineResult(dashboard.url, {"url": dashboard.url}))
