"""Secrets in multipart bodies, part by part, octet by octet."""

import pytest

from proxy_policies.capture.secrets.decide import Decider
from proxy_policies.capture.secrets.redact_multipart import in_multipart
from proxy_policies.capture.secrets.rules import RedactionRules


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
