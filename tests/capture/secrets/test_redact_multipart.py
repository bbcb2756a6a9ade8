"""Secrets in multipart bodies, part by part, byte by byte."""

import pytest

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.redact_multipart import in_multipart, in_quoted_printable
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
    decider = Decider(RedactionRules(), lambda *_: "#", is_response=False)
    assert in_multipart(before, "multipart/form-data; boundary=b", decider, inner) == after


def test_what_has_no_parts_stays() -> None:
    decider = Decider(RedactionRules(), lambda *_: "#", is_response=False)
    assert in_multipart(b"password=x", "multipart/form-data", decider, inner) == b"password=x"
    assert in_multipart(b"--b\r\nno head", "multipart/form-data; boundary=b", decider, inner) == b"--b\r\nno head"


@pytest.mark.parametrize("end", ["\r\n", "\n"], ids=["crlf", "lf"])
def test_an_encoded_part_is_looked_through(end: str) -> None:
    decider = Decider(RedactionRules(), lambda *_: "#", is_response=False)

    def body(encoding: str, name: str, text: str) -> bytes:
        head = f'Content-Disposition: form-data; name="{name}"{end}Content-Transfer-Encoding: {encoding}'
        return f"--b{end}{head}{end}{end}{text}{end}--b--{end}".encode()

    assert in_multipart(body("base64", "token", "aHVudGVyMi14"), "multipart/mixed; boundary=b", decider, inner) == body(
        "base64", "token", "Iw=="
    )
    quoted = body("quoted-printable", "token", f"hunter2=3D={end}x")
    assert in_multipart(quoted, "multipart/mixed; boundary=b", decider, inner) == body("quoted-printable", "token", "#")
    for text in (body("base64", "city", "Qm9ubg=="), body("quoted-printable", "city", f"K=C3=B6ln a={end}b")):
        assert in_multipart(text, "multipart/mixed; boundary=b", decider, inner) == text


def test_quoted_printable_is_read_where_its_lines_are_broken() -> None:
    text = "pass=\r\nword=3Dhunter2\r\nc=C3=A9 =\r\nd\r\n"
    assert in_quoted_printable(text, lambda plain: plain.replace("hunter2", "#")).replace("=\n", "") == (
        "password=3D#\r\nc=C3=A9 d\r\n"
    )
    for plain in (text, "a=3Db", "a=\nb=c", "url?a=\n"):
        assert in_quoted_printable(plain, str) == plain
