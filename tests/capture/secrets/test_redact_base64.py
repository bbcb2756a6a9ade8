"""Secrets in texts that are written in base64."""

import base64
import gzip
import json
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.secrets.redact_base64 import _RUN, MAX_DECOMPRESSED, MIN_LENGTH, _in_run, _runs, in_base64

type Encode = Callable[[bytes], bytes]


def look(text: str) -> str:
    return text.replace("hunter2", "x")


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("rest", ["", "?", "??", "ÿ~?>"])
@pytest.mark.parametrize("padding", ["=", "%3D", ""])
def test_it_is_written_as_it_was(encode: Encode, indent: int | None, rest: str, padding: str) -> None:
    def written(password: str) -> str:
        document = json.dumps({"a": rest, "password": password}, indent=indent, ensure_ascii=False)
        return encode(document.encode()).decode().replace("=", padding)

    assert in_base64(f"state={written('hunter2')}&n=1", look) == f"state={written('x')}&n=1"
    assert in_base64(f'["{written("plain")}"]', look) == f'["{written("plain")}"]'


def test_what_is_cut_is_looked_through_as_far_as_it_goes() -> None:
    whole = base64.b64encode(b'{"password": "hunter2 and more"}').decode()
    for length in range(32, len(whole)):
        done = in_base64(f"data={whole[:length]}", look).removeprefix("data=")
        assert b"hunter2" not in base64.b64decode(done.rstrip("=") + "=" * (-len(done.rstrip("=")) % 4))


@pytest.mark.parametrize(
    "text",
    [
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJodW50ZXIyIn0.c2ln",  # a JSON Web Token has a shape of its own
        "they said: keyJob",
        base64.b64encode(b"\x00hunter2 is no text").decode() + " and more",
        base64.b64encode(b"hunter2 is no text\xff").decode() + " and more",
        "H4sI" + "A" * 40 + " hunter2",
        "eyJ" + "A" * 40 + " hunter2",
    ],
)
def test_anything_else_stays(text: str) -> None:
    assert in_base64(text, look) == text


@pytest.mark.parametrize("plain", ['{"a": "hunter2"}', "a=b&password=hunter2", "<a>hunter2</a>", "Zoë: hunter2\n"])
def test_any_text_is_looked_through_and_what_is_packed_in_it(plain: str) -> None:
    clean = plain.replace("hunter2", "x")
    assert in_base64(base64.b64encode(plain.encode()).decode(), look) == base64.b64encode(clean.encode()).decode()
    packed = in_base64(base64.b64encode(gzip.compress(plain.encode())).decode(), look)
    assert gzip.decompress(base64.b64decode(packed)).decode() == clean
    for level in (0, 1, 6, 9):
        deflated = in_base64(base64.b64encode(zlib.compress(plain.encode(), level)).decode(), look)
        assert zlib.decompress(base64.b64decode(deflated)).decode() == clean
    assert in_base64(f"a letter: {plain}".encode().hex(), look) == f"a letter: {clean}".encode().hex()


def test_what_is_packed_is_looked_through_up_to_a_limit() -> None:
    bomb = base64.b64encode(gzip.compress(b"hunter2" + bytes(MAX_DECOMPRESSED))).decode()
    assert in_base64(bomb, look) == bomb


def test_a_document_behind_others_that_are_none_is_found() -> None:
    document, clean = (base64.b64encode(b'{"a":"%s"}' % word).decode() for word in (b"hunter2", b"x"))
    for before in ("/eyJaaaaaaaa/eyJaaaa.a /", "/eyJaaaaaaaa_/", "/eyJaaaa-aaaa/"):
        assert in_base64(before + document, look) == before + clean


@pytest.mark.parametrize("width", [64, 76])
@pytest.mark.parametrize("fold", ["\n", "\r\n", "\\n", "\\r\\n"])
def test_what_is_in_lines_stays_in_lines(width: int, fold: str) -> None:
    def written(word: str) -> str:
        made = base64.b64encode(f'{{"a": "{"b" * 99}", "password": "{word}", "city": "Bonn"}}'.encode()).decode()
        return f'"data": "{fold.join(made[at : at + width] for at in range(0, len(made), width))}"'

    assert in_base64(written("hunter2"), look) == written("x")
    octets = base64.b64encode(bytes(range(256))).decode()
    certificate = fold.join(octets[at : at + width] for at in range(0, len(octets), width))
    assert in_base64(certificate, look) == certificate


PIECES = ["eyJh", "H4sI", "77u/", "/", "//", "Zm9v", "api", "0", "=", "%3D", " ", ".", "é"]


@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
def test_no_run_with_a_text_is_skipped(text: str) -> None:
    found = {run.span() for run in _runs(text)}
    for run in _RUN.finditer(text):
        if len(run[0]) >= MIN_LENGTH and run.span() not in found:
            assert _in_run(run[0], look, is_cut=run.end() == len(text)) == run[0]
