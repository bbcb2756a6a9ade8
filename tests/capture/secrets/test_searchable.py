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
    "parts": (Body(b"--b\r\n\r\ntext\r\n--b--"), (("Content-Type", "multipart/form-data; boundary=b"),), ""),
    "a part": (
        Body(b"--b\r\n\r\na\r\n--b\r\n\r\n\0\r\n--b--"),
        (("Content-Type", "multipart/x; boundary=b"),),
        "binary",
    ),
    "parts were left out": (
        Body(b"--b\r\n\r\na\r\n--b--\r\n", dropped=9),
        (("Content-Type", "multipart/mixed; boundary=b"),),
        "",
    ),
    "one part was left out": (
        Body(b"--b\r\nContent-Type: image/png\r\n\r\nbytes %b\r\n--b--\r\n" % (b"1" * 77), dropped=9),
        (("Content-Type", "multipart/mixed; boundary=b"), ("Content-Encoding", "gzip")),
        "",
    ),
    "cut at the end, with a picture": (
        Body(b"--b\r\nContent-Type: image/png\r\n\r\na\r\n--b--\r\n", dropped=9),
        (("Content-Type", "multipart/mixed; boundary=b"),),
        "binary",
    ),
    "cut after the end": (
        Body(b"--b\r\n\r\na\r\n--b--\r\nmore", dropped=9),
        (("Content-Type", "multipart/mixed; boundary=b"),),
        "cut",
    ),
    "an encoded part": (
        Body(b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n//79\r\n--b--"),
        (("Content-Type", "multipart/mixed; boundary=b"),),
        "binary",
    ),
    "an encoded text": (
        Body(b"--b\r\nContent-Transfer-Encoding: Base64\r\n\r\nYWJj\r\n--b--"),
        (("Content-Type", "multipart/mixed; boundary=b"),),
        "",
    ),
    "a picture among parts": (
        Body(b"--b\r\nContent-Type: image/png\r\n\r\na\r\n--b--"),
        (("Content-Type", "multipart/form-data; boundary=b"),),
        "binary",
    ),
    "declared as text": (Body(b'{"a": "\xff"}'), JSON, ""),
}


@pytest.mark.parametrize(("body", "fields", "why"), WHY.values(), ids=WHY)
def test_it_is_said_why_a_body_cannot_be_searched(body: Body, fields: Headers, why: str) -> None:
    assert unsearched_reason(body, fields) == why


def test_a_drawing_in_xml_is_text() -> None:
    assert not is_binary(b"<svg>", "image/svg+xml")


@pytest.mark.parametrize("mime", ["application/json5", "application/geojson", "application/problem+json"])
def test_json_of_any_kind_with_a_nul_is_text(mime: str) -> None:
    """Programs in C send the end of their strings, too."""
    assert not is_binary(b'{"password": "Zq7hunter2Q9xZab"}\0', mime)


MESSAGE_PACK = b"\x81\xa8password\xb0Zq7hunter2Q9xZab"
FORMATS = {
    "MessagePack": MESSAGE_PACK,
    "CBOR": b"\xa1hpasswordqZq7hunter2Q9xZab",
    "Protocol Buffers": b"\n\x08password\x12\x0fZq7hunter2Q9xZab",
    "UBJSON": b"{U\x08passwordSU\x0fZq7hunter2Q9xZab}",
}


@pytest.mark.parametrize("mime", ["", "application/vnd.shop.v1", "application/octet-stream", "application/ubjson"])
@pytest.mark.parametrize("content", FORMATS.values(), ids=FORMATS)
def test_a_format_of_bytes_is_known_by_its_content(content: bytes, mime: str) -> None:
    assert unsearched_reason(Body(content), (("Content-Type", mime),)) == "binary"


@pytest.mark.parametrize("mime", ["", "application/octet-stream", "application/vnd.shop.v1; charset=utf-16"])
def test_a_text_of_any_type_is_searched(mime: str) -> None:
    text = "Пароль: \x1b[1mä\x1b[0m\r\n"
    assert (
        unsearched_reason(Body(text.encode("utf-16" if "utf-16" in mime else "utf-8")), (("Content-Type", mime),)) == ""
    )
