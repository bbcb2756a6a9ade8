"""An addon's declaration of which paths around mitmproxy's layers it permits.

    class MyPolicy:
        fast_paths = {"exchanges"}

declares that the addon handles plain exchanges only in flow hooks, and never sends a request through another proxy.
`{"hits": ("header_rules",)}` permits hits while that option is empty. An addon that has hooks and declares nothing
disables every path (`connection.fast_path_guard`).

hits: cached responses, sent without calling hooks. tunnels: CONNECT to a host that is left untouched, with only the
hooks about connections and TCP. exchanges: plain HTTP/1.1, with the flow hooks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

PATHS = ("hits", "tunnels", "exchanges")
COUNTED = (*PATHS, "handed over")
"""What is counted: requests by path, and clients that were handed over to mitmproxy."""
NO_OBJECTION: Mapping[str, tuple[str, ...]] = {path: () for path in PATHS}
"""For an addon whose hooks do not concern requests on these paths, or whose effect is part of the learned response."""


def objections(addon: object, path: str) -> tuple[str, ...] | None:
    """Return the options of an addon that each disable a path when set; None if it is always disabled."""
    declared: Mapping[str, Iterable[str]] | Iterable[str] = getattr(addon, "fast_paths", ())
    if path not in declared:
        return None
    return tuple(declared[path]) if isinstance(declared, Mapping) else ()
