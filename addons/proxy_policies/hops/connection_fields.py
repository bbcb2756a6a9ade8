"""Fields for one connection only (RFC 9110, section 7.6.1).

Content-Length, Transfer-Encoding and persistence are not handled here, but where messages are written.
"""

from proxy_policies.fields import Fields, RawFields, tokens

HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "te", "upgrade"})
FOR_THIS_PROXY = HOP_BY_HOP | {"proxy-authorization"}
"""In a request, also the credentials for us."""
FROM_THIS_PROXY = HOP_BY_HOP | {"proxy-authenticate", "proxy-authentication-info"}
"""In a response, also the challenges of a proxy."""
END_TO_END = frozenset(
    {
        "host", "content-length", "transfer-encoding", "age", "cache-control", "cdn-cache-control", "content-encoding",
        "content-range", "content-type", "date", "expires", "vary",
    }
)  # fmt: skip
"""Kept even if Connection names them: framing, routing, and fields that by section 7.6.1 must not be named, as all
recipients need them."""
NOT_UPGRADES = ("h2c", "http/", "tls/")
"""Upgrades that would concern the proxy's own connection; it offers none of them."""

SWITCHING_PROTOCOLS, UPGRADE_REQUIRED = 101, 426


def named(fields: Fields) -> list[str]:
    """Return the names listed in Connection, lower-cased, except end-to-end fields."""
    said = fields.get("Connection")
    return [name for name in tokens(said) if name not in END_TO_END] if said else []


def request_for_next_hop(fields: Fields, *, to_proxy: bool, http_version: str) -> Fields:
    """Remove the fields for us from a request; `to_proxy`: the next hop is a proxy, so its credentials stay.

    A handshake (such as WebSocket's) and a client's support for trailers are passed on in our name; a handshake only
    over HTTP/1.1: in HTTP/1.0, Upgrade must be ignored (section 7.8), and HTTP/2 has none.
    """
    passed = _without(fields, HOP_BY_HOP if to_proxy else FOR_THIS_PROXY)
    if passed is fields:
        return fields
    options = []
    if http_version == "HTTP/1.1" and (protocols := _upgrades(fields)):
        passed, options = passed.adding("Upgrade", protocols), ["Upgrade"]
    if "trailers" in tokens(fields.get("TE")):
        passed, options = passed.adding("TE", "trailers"), [*options, "TE"]
    is_http1 = http_version in ("HTTP/1.0", "HTTP/1.1")
    return passed.adding("Connection", ", ".join(options)) if options and is_http1 else passed


def response_for_next_hop(fields: Fields, status: int, *, from_proxy: bool) -> Fields:
    """Remove the fields for us from a response; `from_proxy`: the last hop is a proxy, so its challenges stay."""
    passed = _without(fields, HOP_BY_HOP if from_proxy else FROM_THIS_PROXY)
    if status in (SWITCHING_PROTOCOLS, UPGRADE_REQUIRED) and (protocols := fields.get("Upgrade")):
        passed = passed.adding("Connection", "Upgrade").adding("Upgrade", protocols)
    return passed


def _without(fields: Fields, names: frozenset[str]) -> Fields:
    """Remove these fields, and those that Connection names."""
    return fields.without(names.union(named(fields)) if "connection" in fields else names)


def _upgrades(fields: Fields) -> str | None:
    """Return the protocols that a client asks to upgrade to, if it does so correctly."""
    wanted = fields.get("Upgrade")
    if not wanted or "upgrade" not in tokens(fields.get("Connection")):
        return None
    return None if any(protocol.startswith(NOT_UPGRADES) for protocol in tokens(wanted)) else wanted


def interim_for_next_hop(fields: RawFields, status: int) -> RawFields:
    """Return the fields of an interim response for the client, without framing and hop-by-hop fields."""
    passed = Fields(fields).without(("content-length", "transfer-encoding", "trailer"))
    return response_for_next_hop(passed, status, from_proxy=False).raw
