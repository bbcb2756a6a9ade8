"""What encoding does to the fields of a response (RFC 9110, section 8.4)."""

from proxy_policies.fields import Fields, tokens

VOID = ("Accept-Ranges", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest")
"""Said of the plain form, no longer true of the encoded one: ranges and digests of its bytes (RFC 9530, section 2)."""


def with_vary(fields: Fields) -> Fields:
    """Add Accept-Encoding to Vary (RFC 9110, section 12.5.5)."""
    listed = tokens(fields.get("Vary"))
    if "*" in listed or "accept-encoding" in listed:
        return fields
    return fields.replacing("Vary", ", ".join((*fields.lines("Vary"), "Accept-Encoding")))


def with_encoding(fields: Fields, coding: str) -> Fields:
    """Set Content-Encoding. The entity tag and the length are set elsewhere."""
    return fields.without(VOID).replacing("Content-Encoding", coding)
