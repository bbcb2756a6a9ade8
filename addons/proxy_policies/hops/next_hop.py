"""How the fields of messages are passed on by this proxy (RFC 9110, section 7.6).

Fields for one connection only stay behind (section 7.6.1), and Via gets our name (7.6.3). Content-Length,
Transfer-Encoding and persistence are not handled here, but where messages are written. Everything here is pure.
"""

import functools
import re
import secrets
from typing import NamedTuple

from proxy_policies.fields import TOKEN, Fields, RawFields, cached_by_fields, split_list, tokens
from proxy_policies.hops.forwarding import ClientInfo, Style, with_forwarded, without_claims

HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "te", "upgrade"})
STANDARD_OPTIONS = HOP_BY_HOP | {"close"}
"""Connection options that are not worth a note."""
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

AUTO = "auto"

_RECEIVED_BY = re.compile(rf"{TOKEN.pattern}(:\d{{1,5}})?")


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


@functools.cache
def instance_name() -> str:
    """Return a name unique to this instance: another one must not mistake our messages for its own."""
    return f"proxy-policies-{secrets.token_hex(4)}"


def parse_via_name(text: str) -> str:
    """Parse `via_name`: a name or host:port, `auto` for one unique to this instance, "" for none."""
    if text == AUTO:
        return instance_name()
    if text and not _RECEIVED_BY.fullmatch(text):
        raise ValueError(f"write a name such as proxy.example or proxy.example:8080, {AUTO}, or nothing for no Via")
    return text


def with_via(fields: Fields, name: str, http_version: str) -> Fields:
    """Add our name; the version is that of the received message, such as `HTTP/1.1`."""
    ours = f"{http_version.removeprefix('HTTP/')} {name}"
    before = fields.get("via")
    return fields.adding("Via", ours) if before is None else fields.replacing("Via", f"{before}, {ours}")


def lists_in_via(fields: Fields, name: str) -> bool:
    """Return whether Via has this name, so that the message has passed us before."""
    said = fields.get("Via")
    return said is not None and any(_received_by(member) == name.lower() for member in split_list(said))


def _received_by(member: str) -> str:
    parts = member.split()
    return parts[1].lower() if len(parts) > 1 else ""


class Hop(NamedTuple):
    """What decides how fields are passed on, besides the fields themselves."""

    method: str
    http_version: str
    """As the client sent it."""
    to_proxy: bool
    """The next hop is a proxy, so credentials for it stay."""
    via_name: str
    """Our name in Via; empty: none."""
    is_resent: bool
    """It is being sent again: nothing is added about its client, and our name in Via is not a loop."""
    sender: ClientInfo | None
    """The client; None if origins get no information about it."""
    style: Style
    is_trusted: bool
    """The client may set fields that only a proxy in front of us can know."""
    claims: tuple[str, ...] | None
    """Further names of fields that the client may not set; None: it may set all of them."""


class PassedOn(NamedTuple):
    """The fields to send on."""

    fields: Fields
    removed: tuple[str, ...]
    """Fields removed only because the client's own Connection names them."""
    is_loop: bool = False
    """The request has passed us before, and must not be sent on."""


@cached_by_fields
def request_passed_on(raw: RawFields, hop: Hop) -> PassedOn:
    """Prepare a request's fields for the next hop (RFC 9110, section 7.6)."""
    fields = Fields(raw)
    is_ours = bool(hop.via_name) and lists_in_via(fields, hop.via_name)
    if is_ours and not hop.is_resent:
        return PassedOn(fields, (), is_loop=True)
    removed = tuple(name for name in named(fields) if name not in STANDARD_OPTIONS)
    fields = request_for_next_hop(fields, to_proxy=hop.to_proxy, http_version=hop.http_version)
    return PassedOn(fields if is_ours else _signed(fields, hop), removed)


def _signed(fields: Fields, hop: Hop) -> Fields:
    """Add the client's information and Via."""
    if not hop.is_resent:
        if hop.claims is not None:
            fields = without_claims(fields, hop.method, hop.claims)
        if hop.sender is not None:
            fields = with_forwarded(fields, hop.sender, hop.style, trusted=hop.is_trusted)
    return with_via(fields, hop.via_name, hop.http_version) if hop.via_name else fields
