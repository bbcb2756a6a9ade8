"""Protocol Buffers without a schema: their wire format (https://protobuf.dev/programming-guides/encoding/).

A length-delimited value is taken for a text if it is printable UTF-8, else for a message if it can be parsed as one,
else for bytes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from proxy_policies.capture.binary_summary import summary

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5
MAX_DEPTH = 32  # levels of nested messages; protobuf's own parsers allow 100
_FIXED = {FIXED64: 8, FIXED32: 4}


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its number, wire type, encoding, and value."""

    number: int
    type: int
    raw: bytes
    value: bytes | int


def parse(data: bytes) -> list[Field] | None:
    """Return the fields of a message; None if it is invalid."""
    try:
        return list(_parse_fields(data))
    except (ValueError, IndexError):
        return None


def _parse_fields(data: bytes) -> Iterator[Field]:
    at = 0
    while at < len(data):
        start = at
        key, at = _parse_varint(data, at)
        number, kind = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise ValueError("not a field number")
        value: bytes | int
        if kind == VARINT:
            value, at = _parse_varint(data, at)
        else:
            length, at = (_FIXED[kind], at) if kind in _FIXED else _length(data, at, kind)
            value, at = data[at : at + length], at + length
            if at > len(data):
                raise ValueError("cut")
        yield Field(number, kind, data[start:at], value)


def _length(data: bytes, at: int, kind: int) -> tuple[int, int]:
    if kind != DELIMITED:
        raise ValueError("not a wire type")
    return _parse_varint(data, at)


def _parse_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("not a varint")


def _encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def printable_text(data: bytes) -> str | None:
    """Return printable UTF-8 as text, else None."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() or all(char.isprintable() or char in "\t\r\n" for char in text) else None


def rewrite(data: bytes, replace: Callable[[str], str], depth: int = MAX_DEPTH) -> bytes:
    """Return a message with its texts replaced and their lengths adjusted; unchanged if it is invalid."""
    fields = parse(data) if depth else None
    if fields is None:
        return data
    return b"".join(_rewritten(field, replace, depth) for field in fields)


def _rewritten(field: Field, replace: Callable[[str], str], depth: int) -> bytes:
    if field.type != DELIMITED or not isinstance(field.value, bytes):
        return field.raw
    text = printable_text(field.value)
    value = rewrite(field.value, replace, depth - 1) if text is None else replace(text).encode()
    if value == field.value:
        return field.raw
    return _encode_varint(field.number << 3 | DELIMITED) + _encode_varint(len(value)) + value


def to_value(data: bytes, depth: int = MAX_DEPTH) -> Any:
    """Return a message as a JSON value: an object with its fields by number, repeated ones as lists."""
    fields = parse(data) if depth else None
    if fields is None:
        return summary(data)
    found: dict[str, list[Any]] = {}
    for field in fields:
        found.setdefault(str(field.number), []).append(_value(field, depth))
    return {number: values if len(values) > 1 else values[0] for number, values in found.items()}


def _value(field: Field, depth: int) -> Any:
    if isinstance(field.value, int):
        return field.value
    if field.type in _FIXED:
        return int.from_bytes(field.value, "little")
    text = printable_text(field.value)
    return to_value(field.value, depth - 1) if text is None else text
