"""Telling the origin whom a request is from: Forwarded (RFC 7239) and the X-Forwarded-* fields before it."""

from enum import Flag, auto
from functools import lru_cache
from typing import NamedTuple

from proxy_policies.addresses import plain_address
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


class Style(Flag):
    """Which of the two to write."""

    NONE = 0
    FORWARDED = auto()
    X_FORWARDED = auto()
    BOTH = FORWARDED | X_FORWARDED


class Sender(NamedTuple):
    """The client's address, the Host it asked for, and the scheme it came by."""

    address: str
    host: str | None
    proto: str


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
