"""A script for the proxies that we start: says when every policy is loaded and nothing was wrong with its options.

It also applies requests: options that change while the proxy runs, for a session of tests.

mitmproxy listens before it loads scripts, and ends only after that when one of them logged an error.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mitmproxy import ctx, exceptions
from mitmproxy.addonmanager import Loader

from proxy_policies import settings
from proxy_policies.background import spawn
from proxy_policies.capture.runner.proxy_process import READY


class ControlAddon:
    """Logs one line, and applies requests for other options."""

    name = "capture-ready"

    def __init__(self) -> None:
        self._restore: Callable[[], None] = lambda: None

    def load(self, loader: Loader) -> None:
        """Declare the folder that requests come from."""
        loader.add_option("capture_control", str, "", "Folder with options to apply: request-1, request-2 …")

    def running(self) -> None:
        """Wait for the end of the start in a task: this hook is a part of it."""
        self._task = spawn(self._say())

    async def _say(self) -> None:
        while settings.is_starting():  # noqa: ASYNC110 - mitmproxy has no event for it
            await asyncio.sleep(0.005)
        port = ctx.master.addons.get("proxyserver").listen_addrs()[0][1]
        logging.getLogger(__name__).info(f"{READY} {port}")
        if ctx.options.capture_control:
            await self._apply_requests(Path(ctx.options.capture_control))

    async def _apply_requests(self, folder: Path) -> None:
        """Take the options of each request in turn, and answer with an empty file, or with what was wrong."""
        number = 1
        while True:
            request = folder / f"request-{number}"
            if not request.exists():
                await asyncio.sleep(0.005)
                continue
            part = folder / f".done-{number}"
            part.write_text(self._apply(json.loads(request.read_text())))
            part.replace(folder / f"done-{number}")
            number += 1

    def _apply(self, wanted: dict[str, Any]) -> str:
        """Take `options`, and the specs in `set` until the next request. Returns what is wrong with them."""
        try:
            self._restore()
            self._restore = _set(wanted["set"])
            ctx.options.update(**wanted["options"])
        except (exceptions.OptionsError, KeyError) as error:
            return str(error)
        return ""


def _set(specs: list[str]) -> Callable[[], None]:
    """Set options as `--set` does, and return what sets them back. Raises OptionsError."""
    names = dict.fromkeys(spec.partition("=")[0] for spec in specs)
    before = {name: getattr(ctx.options, name) for name in names if name in ctx.options}
    settings.set_specs(ctx.options, specs)
    return lambda: ctx.options.update(**before)


addons = [ControlAddon()]
