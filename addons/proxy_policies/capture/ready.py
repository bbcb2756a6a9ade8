"""A script for the proxies that we start: says when every policy is loaded and nothing was wrong with its options.

mitmproxy listens before it loads scripts, and ends only after that when one of them logged an error.
"""

import asyncio
import logging

from mitmproxy import ctx

from proxy_policies import settings
from proxy_policies.capture.proxy_process import READY


class Ready:
    """Logs one line."""

    name = "capture-ready"

    def running(self) -> None:
        """Wait for the end of the start in a task: this hook is a part of it."""
        self._task = asyncio.get_running_loop().create_task(self._say())

    async def _say(self) -> None:
        while settings.is_starting():  # noqa: ASYNC110 - mitmproxy has no event for it
            await asyncio.sleep(0.005)
        port = ctx.master.addons.get("proxyserver").listen_addrs()[0][1]
        logging.getLogger(__name__).info(f"{READY} {port}")


addons = [Ready()]
