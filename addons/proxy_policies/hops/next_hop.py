"""Decides how a request's fields are passed on by this proxy.

A client repeats the same fields in its requests, so the last results are cached. Everything here is pure.
"""

from typing import NamedTuple

from proxy_policies.fields import Fields, RawFields, cached_by_fields
from proxy_policies.hops import connection_fields, via
from proxy_policies.hops.forwarding import ClientInfo, Style, with_forwarded, without_claims

STANDARD_OPTIONS = connection_fields.HOP_BY_HOP | {"close"}
"""Connection options that are not worth a note."""


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
    is_ours = bool(hop.via_name) and via.lists(fields, hop.via_name)
    if is_ours and not hop.is_resent:
        return PassedOn(fields, (), is_loop=True)
    removed = tuple(name for name in connection_fields.named(fields) if name not in STANDARD_OPTIONS)
    fields = connection_fields.request_for_next_hop(fields, to_proxy=hop.to_proxy, http_version=hop.http_version)
    return PassedOn(fields if is_ours else _signed(fields, hop), removed)


def _signed(fields: Fields, hop: Hop) -> Fields:
    """Add the client's information and Via."""
    if not hop.is_resent:
        if hop.claims is not None:
            fields = without_claims(fields, hop.method, hop.claims)
        if hop.sender is not None:
            fields = with_forwarded(fields, hop.sender, hop.style, trusted=hop.is_trusted)
    return via.with_via(fields, hop.via_name, hop.http_version) if hop.via_name else fields
