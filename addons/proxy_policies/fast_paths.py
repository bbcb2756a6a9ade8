"""What an addon says of the ways around mitmproxy's layers: which of them it has no objection to.

    class MyPolicy:
        fast_paths = {"exchanges"}

says that everything the addon wants of a plain exchange it does in hooks about flows, and that it never sends a
request through another proxy. `{"hits": ("header_rules",)}` says that it has no objection to hits while that option
is empty. An addon that has hooks and says nothing closes every way (`connection.guard`).

hits: responses from the cache, given without a hook. tunnels: CONNECT to a host that is left untouched, with hooks
about connections and TCP only. exchanges: plain HTTP/1.1, with the hooks about flows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

PATHS = ("hits", "tunnels", "exchanges")
NO_OBJECTION: Mapping[str, tuple[str, ...]] = {path: () for path in PATHS}
"""For an addon whose hooks have nothing to do with what takes these ways, or whose say is in what was learnt."""


def objections(addon: object, path: str) -> tuple[str, ...] | None:
    """Return the options of which any that is set closes a way for an addon; None when it is closed anyhow."""
    declared: Mapping[str, Iterable[str]] | Iterable[str] = getattr(addon, "fast_paths", ())
    if path not in declared:
        return None
    return tuple(declared[path]) if isinstance(declared, Mapping) else ()
