"""Which bodies can be searched for secrets."""

import gzip

import pytest

from proxy_policies.capture.model import Body, Headers
from proxy_policies.capture.secrets.searchable import is_binary, unsearched_reason

JSON: Headers = (("Content-Type", "application/json"),)
PACKED = gzip.compress(b"{}")
WHY: dict[str, tuple[Body, Headers, str]] = {
    "nothing": (Body(), (), ""),
    "text": (Body(b"{}"), JSON, ""),
    "undone": (Body(b"{}", wire=PACKED), (*JSON, ("Content-Encoding", "gzip")), ""),
    "cut": (Body(b"{", dropped=1), JSON, "cut"),
    "mislabelled": (Body(b"{}", wire=b"{}"), (*JSON, ("Content-Encoding", "gzip")), "coding"),
    "packed": (Body(PACKED), (("Content-Encoding", "x-odd"),), "coding"),
    "binary": (Body(b"a\0b"), (), "binary"),
    "picture": (Body(b"abc"), (("Content-Type", "image/png"),), "binary"),
    "parts": (Body(b"--b\r\n\r\n\0\r\n--b--"), (("Content-Type", "multipart/form-data; boundary=b"),), ""),
}


@pytest.mark.parametrize(("body", "fields", "why"), WHY.values(), ids=WHY)
def test_it_is_said_why_a_body_cannot_be_searched(body: Body, fields: Headers, why: str) -> None:
    assert unsearched_reason(body, fields) == why


def test_a_drawing_in_xml_is_text() -> None:
    assert not is_binary(b"<svg>", "image/svg+xml")


@pytest.mark.parametrize("mime", ["application/msgpack", "application/cbor", "application/octet-stream"])
def test_what_is_in_a_format_of_bytes_is_not_searched(mime: str) -> None:
    assert unsearched_reason(Body(b"\x81\xa8password\xb0Zq7hunter2Q9xZab"), (("Content-Type", mime),)) == "binary"
    assert unsearched_reason(Body(b'{"a": 1}'), (("Content-Type", mime),)) == ""
