"""Parses field lines that every HTTP/1.1 parser reads alike (RFC 9112, section 5) with one expression."""

from __future__ import annotations

import re

from proxy_policies.fields import Fields, RawFields

CRLF_HEAD_END = b"\r\n\r\n"
"""The end of a head with regular line ends."""
FIELD_LINES = rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t -~\x80-\xff]*+\r\n)++)\r\n"
"""Matches a head's plain fields and the empty line after them. Possessive, so that one pass is enough for any head."""
_FIELD = re.compile(rb"([^:]++):[\t ]*+([^\r]*+)\r\n")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,15}")


def read_fields(block: bytes) -> RawFields | None:
    """Return the fields of such lines; None if white space after a value would have to be stripped."""
    if block.count(b" \r\n") or block.count(b"\t\r\n"):  # `in` first raises and drops an exception
        return None
    return tuple(_FIELD.findall(block))


def content_length(fields: Fields, otherwise: int | None) -> int | None:
    """Return Content-Length in bytes, `otherwise` if absent; None if it is not one plain number."""
    match fields.raw_lines("content-length"):
        case ():
            return otherwise
        case [value] if _LENGTH.fullmatch(value):
            return int(value)
        case _:
            return None
