"""Hooks of mitmproxy's own addons that do nothing while their option is empty. Tried on mitmproxy 12.2.

Each of them begins by looking at an attribute that only an option fills. Where the attribute is filled by other means,
or the hook is replaced, it is asked: the attribute and the function are looked at each time.
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

# The class, the attribute without which the hooks do nothing, and those hooks.
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
    (save.Save, "stream", ("request", "response", "error")),
)


def _hooks() -> Iterator[tuple[Any, Condition]]:
    for owner, attribute, names in _STOCK:
        for name in names:
            if hook := getattr(owner, name, None):
                yield hook, operator.attrgetter(attribute)


INERT: dict[Any, Condition] = dict(_hooks())
"""For each such hook, as a function of its class, what says of an addon whether it is needed."""
