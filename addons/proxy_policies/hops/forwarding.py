"""Telling the origin whom a request is from: Forwarded (RFC 7239) and the X-Forwarded-* fields before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Flag, auto
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from proxy_policies.fields import TOKEN, Fields, RawFields

SPOOFABLE = (
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Server",
)
"""What origins believe; from a client that nobody trusts it goes."""

Network = IPv4Network | IPv6Network


class Style(Flag):
    """Which of the two to write."""

    NONE = 0
    FORWARDED = auto()
    X_FORWARDED = auto()
    BOTH = FORWARDED | X_FORWARDED


@dataclass(frozen=True, slots=True)
class Sender:
    """The client's address, the Host it asked for, and the scheme it came by."""

    address: str
    host: str | None
    proto: str


@lru_cache(maxsize=256)
def plain_address(address: str) -> str:
    """Write an IP address in its shortest form; IPv4 in IPv6's clothes as IPv4. What is none stays as it is."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Read IP networks or addresses; raises ValueError quoting what is neither."""
    networks = []
    for text in texts:
        try:
            networks.append(ip_network(text.strip(), strict=False))
        except ValueError as error:
            raise ValueError(f"{text!r} is no network; write such as 10.0.0.0/8, 192.0.2.7 or fd00::/8") from error
    return tuple(networks)


def is_trusted(address: str, networks: Sequence[Network]) -> bool:
    """Say whether an address is in one of the networks."""
    if not networks:
        return False
    try:
        parsed = ip_address(plain_address(address))
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def with_sender(fields: Fields, sender: Sender, style: Style, *, trusted: bool) -> Fields:
    """Say whom a request is from; what a trusted client says of hops before it stays, anything else goes."""
    if style is Style.NONE:
        return fields
    if trusted:
        return _saying(fields, sender, style)
    return Fields((*fields.without(SPOOFABLE).raw, *_said(sender, style)))


@lru_cache(maxsize=64)
def _said(sender: Sender, style: Style) -> RawFields:
    return _saying(Fields(), sender, style).raw


def _saying(fields: Fields, sender: Sender, style: Style) -> Fields:
    if Style.FORWARDED in style:
        fields = _appending(fields, "Forwarded", _element(sender))
    if Style.X_FORWARDED in style:
        fields = _appending(fields, "X-Forwarded-For", plain_address(sender.address))
        fields = _unless_said(fields, "X-Forwarded-Proto", sender.proto)
        fields = _unless_said(fields, "X-Forwarded-Host", sender.host)
    return fields


def _appending(fields: Fields, name: str, member: str) -> Fields:
    return fields.replacing(name, ", ".join((*fields.lines(name), member)))


def _unless_said(fields: Fields, name: str, value: str | None) -> Fields:
    return fields if value is None or name in fields else fields.replacing(name, value)


def _element(sender: Sender) -> str:
    """Write one forwarded-element (RFC 7239, section 4)."""
    address = plain_address(sender.address)
    node = f"[{address}]" if ":" in address else address
    pairs = [("for", node), ("host", sender.host), ("proto", sender.proto)]
    return ";".join(f"{name}={_value(text)}" for name, text in pairs if text is not None)


def _value(text: str) -> str:
    if TOKEN.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
