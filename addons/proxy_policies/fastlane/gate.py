"""Whether a fast way may be taken: nothing that is loaded or set has a say in it besides what the way provides for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from mitmproxy import ctx

from proxy_policies.fastlane.dispatch import Table


class Gate:
    """Open while no other addon has one of `events`' hooks, none of the options `wishes` is set, and `also` holds.

    `known` are the names of our own policies whose hooks the fast way makes up for; mitmproxy's own addons are
    provided for by `wishes`. Looked up again when the addons change; `forget` when an option does.
    """

    def __init__(
        self, events: Sequence[str], known: Iterable[str], wishes: Sequence[str], also: Callable[[], bool]
    ) -> None:
        self._events, self._known, self._wishes, self._also = events, frozenset(known), wishes, also
        self._version, self._open = 0, False

    def forget(self) -> None:
        """Look again."""
        self._version = 0

    def is_open(self, table: Table) -> bool:
        """Return whether the way may be taken now."""
        if self._version != table.version:
            self._version = table.version
            self._open = not self._is_wished() and not self._is_watched(table) and self._also()
        return self._open

    def _is_wished(self) -> bool:
        return any(getattr(ctx.options, name, None) for name in self._wishes)

    def _is_watched(self, table: Table) -> bool:
        everybody = (addon for name in self._events for group in table.groups(name) for addon in group)
        return any(self.is_foreign(addon) for addon in everybody)

    def is_foreign(self, addon: object) -> bool:
        """Return whether an addon is neither mitmproxy's own nor one of ours that is provided for."""
        home = type(addon).__module__
        if home.startswith("mitmproxy."):
            return False
        return not (home.startswith("proxy_policies.") and getattr(addon, "name", "") in self._known)
