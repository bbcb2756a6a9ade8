"""Fields that are for one connection only (RFC 9110, section 7.6.1).

Framing is not touched here: Content-Length and Transfer-Encoding, and whether
a connection persists, are settled where messages are written.
"""

from proxy_policies.fields import Fields, RawFields, tokens

HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "te", "upgrade"})
FOR_THIS_PROXY = HOP_BY_HOP | {"proxy-authorization"}
"""Of a request: its credentials for us, too."""
FROM_THIS_PROXY = HOP_BY_HOP | {"proxy-authenticate", "proxy-authentication-info"}
"""Of a response: challenges that only a proxy may give, too."""
END_TO_END = frozenset(
    {
        "host", "content-length", "transfer-encoding", "age", "cache-control", "cdn-cache-control", "content-encoding",
        "content-range", "content-type", "date", "expires", "vary",
    }
)  # fmt: skip
"""Kept though Connection names them: framing, routing, and what section 7.6.1 says must not be named, as every
recipient has to know it."""
NOT_UPGRADES = ("h2c", "http/", "tls/")
"""Upgrades to what would be the proxy's own affair; it offers none of them."""

SWITCHING_PROTOCOLS, UPGRADE_REQUIRED = 101, 426


def named(fields: Fields) -> list[str]:
    """Return the names that Connection lists, lower-cased, but for those that go on to the end."""
    said = fields.get("Connection")
    return [name for name in tokens(said) if name not in END_TO_END] if said else []


def request_for_next_hop(fields: Fields, *, to_proxy: bool, is_http1: bool) -> Fields:
    """Leave out of a request what was for us; `to_proxy`: the next hop is a proxy, credentials for it stay.

    A handshake (WebSocket's, say) and a client's willingness to take trailers go on, as ours.
    """
    passed = _without(fields, HOP_BY_HOP if to_proxy else FOR_THIS_PROXY)
    if passed is fields:
        return fields
    options = []
    if is_http1 and (protocols := _upgrades(fields)):
        passed, options = passed.adding("Upgrade", protocols), ["Upgrade"]
    if "trailers" in tokens(fields.get("TE")):
        passed, options = passed.adding("TE", "trailers"), [*options, "TE"]
    return passed.adding("Connection", ", ".join(options)) if options and is_http1 else passed


def response_for_next_hop(fields: Fields, status: int, *, from_proxy: bool) -> Fields:
    """Leave out of a response what was for us; `from_proxy`: the last hop is a proxy, its challenges go on."""
    passed = _without(fields, HOP_BY_HOP if from_proxy else FROM_THIS_PROXY)
    if status in (SWITCHING_PROTOCOLS, UPGRADE_REQUIRED) and (protocols := fields.get("Upgrade")):
        passed = passed.adding("Connection", "Upgrade").adding("Upgrade", protocols)
    return passed


def _without(fields: Fields, names: frozenset[str]) -> Fields:
    """Leave out these fields, and what Connection names."""
    return fields.without(names.union(named(fields)) if "connection" in fields else names)


def _upgrades(fields: Fields) -> str | None:
    """Return the protocols that a client would like to change to, if it asks rightly."""
    wanted = fields.get("Upgrade")
    if not wanted or "upgrade" not in tokens(fields.get("Connection")):
        return None
    return None if any(protocol.startswith(NOT_UPGRADES) for protocol in tokens(wanted)) else wanted


def interim_for_next_hop(fields: RawFields, status: int) -> RawFields:
    """Return the fields of an interim response that are for the client: none of framing, or for one hop only."""
    passed = Fields(fields).without(("content-length", "transfer-encoding", "trailer"))
    return response_for_next_hop(passed, status, from_proxy=False).raw
