"""What becomes of a request's fields on their way through this proxy: the one function that says so.

A client sends the same fields with one request after another, so the last answers are kept. Everything here is pure.
"""

from typing import NamedTuple

from proxy_policies.fields import Fields, RawFields, cached_by_fields
from proxy_policies.hops import connection_fields, via
from proxy_policies.hops.forwarding import ClientInfo, Style, with_forwarded, without_claims

STANDARD_OPTIONS = connection_fields.HOP_BY_HOP | {"close"}
"""Connection options that nobody asks about."""


class Hop(NamedTuple):
    """What decides, besides the fields themselves, how they are passed on."""

    method: str
    http_version: str
    """As the client sent it."""
    to_proxy: bool
    """The next hop is a proxy: credentials for it stay."""
    via_name: str
    """Our name in Via; empty: none."""
    is_resent: bool
    """It was passed on before, and is sent again: nothing is said of its client, and our name is no loop."""
    sender: ClientInfo | None
    """The client; None where origins get no information about it."""
    style: Style
    is_trusted: bool
    """The client may say of itself what only a proxy in front of us can know."""
    claims: tuple[str, ...] | None
    """Names of fields, beside the known ones, that a client may not claim things by; None: it may send them all."""


class PassedOn(NamedTuple):
    """The fields that are sent on."""

    fields: Fields
    removed: tuple[str, ...]
    """Fields left out that nobody but the client's own Connection names."""
    is_loop: bool = False
    """The request came by us before: it is not to be sent on."""


@cached_by_fields
def request_passed_on(raw: RawFields, hop: Hop) -> PassedOn:
    """Make a request's fields ours to send (RFC 9110, section 7.6)."""
    fields = Fields(raw)
    is_ours = bool(hop.via_name) and via.lists(fields, hop.via_name)
    if is_ours and not hop.is_resent:
        return PassedOn(fields, (), is_loop=True)
    removed = tuple(name for name in connection_fields.named(fields) if name not in STANDARD_OPTIONS)
    is_http1 = hop.http_version in ("HTTP/1.0", "HTTP/1.1")
    fields = connection_fields.request_for_next_hop(fields, to_proxy=hop.to_proxy, is_http1=is_http1)
    return PassedOn(fields if is_ours else _signed(fields, hop), removed)


def _signed(fields: Fields, hop: Hop) -> Fields:
    """Add the client's information and Via."""
    if not hop.is_resent:
        if hop.claims is not None:
            fields = without_claims(fields, hop.method, hop.claims)
        if hop.sender is not None:
            fields = with_forwarded(fields, hop.sender, hop.style, trusted=hop.is_trusted)
    return via.with_via(fields, hop.via_name, hop.http_version) if hop.via_name else fields
