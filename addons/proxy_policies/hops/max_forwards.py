"""Max-Forwards: how far a TRACE or OPTIONS may go (RFC 9110, section 7.6.2)."""

import re
from dataclasses import dataclass

from proxy_policies.fields import Fields

LIMITED = ("TRACE", "OPTIONS")
SECRET = ("Authorization", "Cookie", "Proxy-Authorization")
"""Fields not to be reflected in the response to a TRACE (RFC 9110, section 9.3.8)."""

_DIGITS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class FinalHop:
    """This proxy is the final recipient: the media type, if any, and body of the response."""

    media_type: str | None
    body: bytes


def count_down(method: str, target: str, version: str, fields: Fields) -> Fields | FinalHop:
    """Count one hop; return the fields to send on, or the response."""
    said = fields.get("Max-Forwards") if method in LIMITED else None
    if said is None or not _DIGITS.fullmatch(said):
        return fields
    if int(said) > 0:
        return fields.replacing("Max-Forwards", str(int(said) - 1))
    return FinalHop("message/http", _reflection(target, version, fields)) if method == "TRACE" else FinalHop(None, b"")


def _reflection(target: str, version: str, fields: Fields) -> bytes:
    lines = [b"%s: %s\r\n" % line for line in fields.without(SECRET).raw]
    return f"TRACE {target} {version}\r\n".encode("utf-8", "surrogateescape") + b"".join(lines) + b"\r\n"
