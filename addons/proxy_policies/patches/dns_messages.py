"""DNS messages that mitmproxy cannot read, or could not send on, end their connection, and no layer.

Its layer expects only `struct.error`, at which it closes the connection. Names in IDNA 2008 that are not in IDNA 2003,
such as xn--fa-hia.de, are read as they are.
"""

import functools
import struct
from collections.abc import Callable
from typing import Any

from mitmproxy import dns
from mitmproxy.net.dns import domain_names
from mitmproxy.proxy.layers import DNSLayer

from proxy_policies.patch import Companion

MAX_NAMES = 2048
"""Names in a message, which may all be pointers to a long one: reading 30 000 of them takes seconds."""

Unpack = Callable[[DNSLayer, bytes, bool], list[dns.DNSMessage]]
ReadLabel = Callable[[list[str], bytes, int], int]
ReadName = Callable[[bytes, int, dict[int, Any]], tuple[str, int]]


def _usable(original: Unpack) -> Unpack:
    @functools.wraps(original)
    def unpack_message(layer: DNSLayer, data: bytes, from_client: bool) -> list[dns.DNSMessage]:
        try:
            messages = original(layer, data, from_client)
            _ = [message.packed for message in messages]
        except (ValueError, RecursionError) as error:
            raise struct.error(str(error)) from error
        return messages

    return unpack_message


def _of_any_idna(original: ReadLabel) -> ReadLabel:
    @functools.wraps(original)
    def _unpack_label_into(labels: list[str], buffer: bytes, offset: int) -> int:
        try:
            return original(labels, buffer, offset)
        except (struct.error, UnicodeError) as error:
            label = bytes(buffer[offset + 1 : offset + 1 + buffer[offset]])
            if not (isinstance(error.__context__ or error, UnicodeError) and label.isascii()):
                raise
            labels.append(label.decode("ascii"))
            return 1 + len(label)

    return _unpack_label_into


def _few(original: ReadName) -> ReadName:
    @functools.wraps(original)
    def unpack_from_with_compression(buffer: bytes, offset: int, cache: dict[int, Any]) -> tuple[str, int]:
        if len(cache) > MAX_NAMES:
            raise ValueError("too many names")
        return original(buffer, offset, cache)

    return unpack_from_with_compression


_SEEN_ON = "12.2.1 to 12.3.1"

COMPANIONS = (
    Companion(
        owner=DNSLayer,
        attribute="unpack_message",
        wrap=_usable,
        seen_on=_SEEN_ON,
        why="a message with a dot in a label, or long chains of pointers, raises, and its client is never disconnected",
        test="tests/e2e/limits/test_names.py::test_a_message_that_cannot_be_read",
        source_sha256={_SEEN_ON: "ac873ebea9592affad428ae4faf035ebf82a6d0b7549412ade72c54f88246d43"},
    ),
    Companion(
        owner=domain_names,
        attribute="_unpack_label_into",
        wrap=_of_any_idna,
        seen_on=_SEEN_ON,
        why="names such as xn--fa-hia.de (faß.de) cannot be asked for: Python's codec knows IDNA 2003 only",
        test="tests/e2e/limits/test_names.py::test_a_name_of_idna_2008",
        source_sha256={_SEEN_ON: "bd2a5d7808eac7636d16cd5c613ec7b1f083843c0b2cacaf45e0a3a180652685"},
    ),
    Companion(
        owner=domain_names,
        attribute="unpack_from_with_compression",
        wrap=_few,
        seen_on=_SEEN_ON,
        why="a message of 64 KiB that consists of pointers to a long name blocks all clients for seconds",
        test="tests/patches/test_dns_messages.py::test_a_message_of_pointers_only",
        source_sha256={_SEEN_ON: "4c0a3b607d77c971a1370f5e275504ffe0246a521d09e2d015db455083fdbbe8"},
    ),
)
