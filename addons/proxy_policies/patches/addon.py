"""Applies the patches while the addons are loaded."""

from collections.abc import Callable

from mitmproxy.addonmanager import Loader
from mitmproxy.connection import Client

from proxy_policies.patches import (
    answers,
    asked_host,
    bounded_decoding,
    closing,
    commands,
    dialling,
    flushing,
    framing,
    h2_names,
    half_close,
    http2,
    http2_limits,
    interim,
    leaving_clients,
    proxy_password,
    resets,
    retry,
    script_reload,
    start_up,
    stored_bodies,
    streamed_later,
    terminal,
    turns,
    upstream_connect,
    websocket_responder,
)
from proxy_policies.patches.patch import Patch

PATCHES: tuple[Patch, ...] = (
    commands.PATCH,
    *framing.PATCHES,
    answers.PATCH,
    asked_host.PATCH,
    h2_names.PATCH,
    *http2_limits.PATCHES,
    half_close.PATCH,
    upstream_connect.PATCH,
    *http2.PATCHES,
    interim.PATCH,
    *retry.PATCHES,
    *dialling.PATCHES,
    *resets.PATCHES,
    closing.PATCH,
    *proxy_password.PATCHES,
    stored_bodies.PATCH,
    *streamed_later.PATCHES,
    *flushing.PATCHES,
    leaving_clients.PATCH,
    websocket_responder.PATCH,
    *start_up.PATCHES,
    script_reload.PATCH,
    *bounded_decoding.PATCHES,
    *terminal.PATCHES,
    turns.PATCH,
)


class Patches:
    """Mends mitmproxy from load to done."""

    name = "patches"

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def load(self, loader: Loader) -> None:
        """Apply every patch."""
        script_reload.note_versions()
        self._undo = [undo for patch in PATCHES if (undo := patch.apply())]

    async def next_turn(self, client: Client) -> None:
        """Let others go first."""
        await turns.next_turn(client)

    def done(self) -> None:
        """Take them out again, last first."""
        while self._undo:
            self._undo.pop()()
