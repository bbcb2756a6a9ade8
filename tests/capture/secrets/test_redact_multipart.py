"""Secrets in multipart bodies, part by part, octet by octet."""

import pytest

from proxy_policies.capture.secrets.decide import Decider
from proxy_policies.capture.secrets.redact_multipart import boundary_of, in_multipart
from proxy_policies.capture.secrets.rules import RedactionRules

BOUNDARIES = {
    "said": (b"--abc\r\n", "multipart/form-data; boundary=abc", b"abc"),
    "quoted": (b"--a b\r\n", 'multipart/form-data; boundary="a b"', b"a b"),
    "not said": (b"--x-1\r\nHost", "multipart/form-data", b"x-1"),
    "said wrongly": (b"--x-1\r\nHost", "multipart/form-data; boundary=other", b"x-1"),
    "none": (b"no parts", "multipart/form-data", b""),
}


@pytest.mark.parametrize(("content", "mime", "boundary"), BOUNDARIES.values(), ids=BOUNDARIES)
def test_the_boundary_is_found(content: bytes, mime: str, boundary: bytes) -> None:
    assert boundary_of(content, mime) == boundary


def inner(content: bytes, mime: str) -> bytes:
    return content.upper() if mime == "text/plain" else content


@pytest.mark.parametrize("end", [b"\r\n", b"\n"], ids=["crlf", "lf"])
def test_each_part_is_looked_through_and_binary_ones_stay(end: bytes) -> None:
    parts = [
        b'Content-Disposition: form-data; name="password"|S3cret|',
        b"Content-Disposition: form-data; name=token; filename=a|Wz-zbpjD-jMLZkbxrVhyYQ|",
        b'Content-Disposition: form-data; name="f"; filename="f.bin"|\0\xff--\r\n|',
        b'Content-Type: text/plain; x|text|'.replace(b"; x", b""),
    ]  # fmt: skip
    before = b"".join(b"--b" + end + part.replace(b"|", end * 2, 1).replace(b"|", end) for part in parts) + b"--b--"
    after = (
        before.replace(b"S3cret", b"#")
        .replace(b"Wz-zbpjD-jMLZkbxrVhyYQ", b"#")
        .replace(end + b"text" + end, end + b"TEXT" + end)
    )
    decider = Decider(RedactionRules(), lambda *_: "#", is_answer=False)
    assert in_multipart(before, "multipart/form-data; boundary=b", decider, inner) == after


def test_what_has_no_parts_stays() -> None:
    decider = Decider(RedactionRules(), lambda *_: "#", is_answer=False)
    assert in_multipart(b"password=x", "multipart/form-data", decider, inner) == b"password=x"
    assert in_multipart(b"--b\r\nno head", "multipart/form-data; boundary=b", decider, inner) == b"--b\r\nno head"
