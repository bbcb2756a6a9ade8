"""When the hooks of mitmproxy's own addons do nothing: they begin by checking an attribute that only an option sets.

Tested on mitmproxy 12.2.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

from mitmproxy.addons import (
    blocklist,
    maplocal,
    mapremote,
    modifybody,
    modifyheaders,
    proxyauth,
    save,
    serverplayback,
    stickyauth,
    stickycookie,
    upstream_auth,
)

from proxy_policies.hook_conditions import Condition

# Class, attribute without which the hooks do nothing, and those hooks.
_STOCK: tuple[tuple[type, str, tuple[str, ...]], ...] = (
    (proxyauth.ProxyAuth, "validator", ("requestheaders",)),
    (modifyheaders.ModifyHeaders, "replacements", ("requestheaders", "responseheaders")),
    (upstream_auth.UpstreamAuth, "auth", ("requestheaders",)),
    (blocklist.BlockList, "items", ("request",)),
    (serverplayback.ServerPlayback, "flowmap", ("request",)),
    (mapremote.MapRemote, "replacements", ("request",)),
    (maplocal.MapLocal, "replacements", ("request",)),
    (modifybody.ModifyBody, "replacements", ("request", "response")),
    (stickyauth.StickyAuth, "flt", ("request",)),
    (stickycookie.StickyCookie, "flt", ("request",)),
    (save.Save, "stream", ("request", "response", "error", "tcp_start", "tcp_end", "tcp_error")),
)


def _hooks() -> Iterator[tuple[Any, Condition]]:
    for owner, attribute, names in _STOCK:
        for name in names:
            if hook := getattr(owner, name, None):
                yield hook, operator.attrgetter(attribute)


STOCK_CONDITIONS: dict[Any, Condition] = dict(_hooks())
"""For each such hook, as a function of its class, the condition for calling it."""
