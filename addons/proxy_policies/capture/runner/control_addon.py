"""A script for proxies that are started here: logs a line when all policies are loaded and their options valid.

mitmproxy listens before it loads scripts, and exits only after that if one of them logs an error. For a test session,
the script also changes options while the proxy runs.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mitmproxy import ctx, exceptions
from mitmproxy.addonmanager import Loader

from proxy_policies.background.tasks import spawn
from proxy_policies.capture.runner.proxy_process import READY, RECORDING, STOPPED
from proxy_policies.options.updates import set_specs
from proxy_policies.start_up.starting import is_starting


class ControlAddon:
    """Logs that the proxy is ready, and applies options from files."""

    name = "capture-ready"

    def __init__(self) -> None:
        self._restore: Callable[[], None] = lambda: None
        self._stops: list[str] = []

    def load(self, loader: Loader) -> None:
        """Declare the option with the folder of the files."""
        loader.add_option("capture_control", str, "", "Folder with options to apply: request-1, request-2 …")

    def running(self) -> None:
        """Wait for the end of the start in a task, as this hook is a part of it."""
        self._task = spawn(self._log_ready())

    async def _log_ready(self) -> None:
        while is_starting():  # noqa: ASYNC110 - mitmproxy has no event for it
            await asyncio.sleep(0.005)
        port = ctx.master.addons.get("proxyserver").listen_addrs()[0][1]
        logging.getLogger(__name__).info(f"{READY} {port}")
        if ctx.options.capture_control:
            await self._apply_requests(Path(ctx.options.capture_control))

    async def _apply_requests(self, folder: Path) -> None:
        """Apply the options of each request file in order, and write a file with the error, or an empty one.

        Why recording has stopped since the last request is written into another file before.
        """
        handler = _Collector(self._stops)
        logging.getLogger(RECORDING).addHandler(handler)
        number = 1
        while True:
            request = folder / f"request-{number}"
            if not request.exists():
                await asyncio.sleep(0.005)
                continue
            part = folder / f".done-{number}"
            part.write_text(self._apply(json.loads(request.read_text())))
            if self._stops:
                (folder / f"stopped-{number}").write_text(self._stops[0])
                self._stops.clear()
            part.replace(folder / f"done-{number}")
            number += 1

    def _apply(self, request: dict[str, Any]) -> str:
        """Set `options`, and until the next request the specs in `set`. Return an error, or an empty text."""
        try:
            self._restore()
            self._restore = _set(request["set"])
            ctx.options.update(**request["options"])
        except (exceptions.OptionsError, KeyError) as error:
            return str(error)
        return ""


class _Collector(logging.Handler):
    """Appends to a list why recording has stopped."""

    def __init__(self, stops: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._stops = stops

    def emit(self, record: logging.LogRecord) -> None:
        """Append the reason in a log record."""
        if found := STOPPED.search(record.getMessage()):
            self._stops.append(found[1])


def _set(specs: list[str]) -> Callable[[], None]:
    """Set options as `--set` does, and return a function that restores them. Raise OptionsError."""
    names = dict.fromkeys(spec.partition("=")[0] for spec in specs)
    before = {name: getattr(ctx.options, name) for name in names if name in ctx.options}
    set_specs(ctx.options, specs)
    return lambda: ctx.options.update(**before)


addons = [ControlAddon()]
