"""Applies the patches for as long as the addons are loaded."""

import asyncio
from collections.abc import Callable

from mitmproxy.addonmanager import Loader
from mitmproxy.connection import Client

from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.patch import Patch
from proxy_policies.patches import (
    bounded_decoding,
    closing_alerts,
    connection_handlers,
    dialling,
    permitted_names,
    script_reload,
    shown_sizes,
    terminal,
    turns,
)
from proxy_policies.patches.http1 import sides as http1_sides
from proxy_policies.patches.http2 import sides as http2_sides
from proxy_policies.patches.http_stream import stream
from proxy_policies.patches.websocket import layer as websocket

PATCHES: tuple[Patch, ...] = (
    *http1_sides.PATCHES,
    *http2_sides.PATCHES,
    stream.PATCH,
    connection_handlers.PATCH,
    closing_alerts.PATCH,
    dialling.PATCH,
    permitted_names.PATCH,
    script_reload.PATCH,
    bounded_decoding.PATCH,
    websocket.PATCH,
    *terminal.PATCHES,
    shown_sizes.PATCH,
)


class Patches:
    """Keeps mitmproxy patched from `load` to `done`."""

    name = "patches"
    fast_paths = NO_OBJECTION

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def load(self, loader: Loader) -> None:
        """Apply every patch."""
        script_reload.note_versions()
        script_reload.watch_loaded_scripts()
        self._undo = [undo for patch in PATCHES if (undo := patch.apply())]
        addons = loader.master.addons
        self._undo += (terminal.print_lines(addons.get("dumper")), dialling.LateServerTls().load_into(addons))

    async def next_turn(self, client: Client) -> None:
        """Let other connections run first."""
        await turns.next_turn(client)

    async def off_loop(self, call: turns.ThreadCall) -> None:
        """Make the call in a thread."""
        call.result = await asyncio.to_thread(call.run)

    def done(self) -> None:
        """Remove the patches, last first."""
        while self._undo:
            self._undo.pop()()
