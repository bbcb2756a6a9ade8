"""Compression through the real mitmdump."""

import gzip
import json
import re
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import brotli
import pytest
import zstandard
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received

HTML = "text/html; charset=utf-8"
PAGE = b"<p>All work and no play makes a dull page.</p>\n" * 100
DECODERS: dict[str | None, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
    "deflate": zlib.decompress,
    None: bytes,
}


def page(*headers: tuple[str, str], body: bytes = PAGE, media_type: str = HTML) -> Answer:
    return Answer(headers=[("Content-Type", media_type), *headers], body=body)


@pytest.fixture
def server(origin: Callable[..., Origin]) -> Origin:
    running = origin()
    running.route("/", page(("ETag", '"v1"'), ("Accept-Ranges", "bytes"), ("Vary", "Cookie")))
    return running


@pytest.fixture
def proxy(mitmdump: Callable[..., Mitmdump]) -> Mitmdump:
    return mitmdump(script="encoding.py")


@pytest.mark.parametrize(
    ("accept", "coding"),
    [("gzip", "gzip"), ("gzip, deflate, br", "br"), ("br, zstd", "zstd"), ("gzip;q=0, *;q=0.1, zstd;q=0", "br")],
)
def test_a_page_is_encoded_as_the_client_likes(
    proxy: Mitmdump, server: Origin, curl: Any, accept: str, coding: str
) -> None:
    got = curl("-x", proxy.url, "-H", f"Accept-Encoding: {accept}", f"{server.url}/")
    assert got.get("Content-Encoding") == coding
    assert DECODERS[coding](got.body) == PAGE
    assert got.get("Content-Length") == str(len(got.body))
    assert got.get("Vary") == "Cookie, Accept-Encoding"
    assert got.get("ETag") == f'W/"v1~{coding}"'
    assert got.get("Accept-Ranges") is None


def test_a_client_that_asks_for_nothing_gets_the_plain_form_and_its_vary(
    proxy: Mitmdump, server: Origin, curl: Any
) -> None:
    got = curl("-x", proxy.url, f"{server.url}/")
    assert (got.get("Content-Encoding"), got.body, got.get("ETag")) == (None, PAGE, '"v1"')
    assert got.get("Vary") == "Cookie, Accept-Encoding"
    assert got.get("Accept-Ranges") == "bytes"


def test_curl_compressed(proxy: Mitmdump, server: Origin, curl: Any) -> None:
    got = curl("-x", proxy.url, "--compressed", f"{server.url}/")
    assert got.body == PAGE
    assert got.get("Content-Encoding") in DECODERS


def test_head_has_the_fields_of_get(proxy: Mitmdump, server: Origin, curl: Any) -> None:
    get = curl("-x", proxy.url, "-H", "Accept-Encoding: gzip", f"{server.url}/")
    head = curl("-x", proxy.url, "-I", "-H", "Accept-Encoding: gzip", f"{server.url}/")
    for name in ("Content-Encoding", "Vary", "ETag", "Accept-Ranges", "Content-Type"):
        assert head.get(name) == get.get(name)
    assert head.get("Content-Length") in (None, get.get("Content-Length"))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(page(body=b"x" * 1023), id="small"),
        pytest.param(page(media_type="image/png"), id="picture"),
        pytest.param(page(("Cache-Control", "no-transform")), id="no-transform"),
        pytest.param(page(("Content-Encoding", "br"), body=brotli.compress(PAGE * 50)), id="encoded already"),
        pytest.param(Answer(206, [("Content-Type", HTML), ("Content-Range", "bytes 0-4699/9999")], PAGE), id="a part"),
    ],
)
def test_what_is_left_as_it_is(proxy: Mitmdump, server: Origin, curl: Any, answer: Answer) -> None:
    server.route("/", answer)
    got = curl("-x", proxy.url, "-H", "Accept-Encoding: gzip", f"{server.url}/")
    assert got.body == answer.body
    assert got.get("Content-Encoding") == dict(answer.headers).get("Content-Encoding")
    assert got.get("Vary") == ("Accept-Encoding" if answer.status == 206 else None)  # as the whole's


def test_no_content(proxy: Mitmdump, server: Origin, curl: Any) -> None:
    server.route("/", Answer(204, [("Content-Type", HTML)], b""))
    got = curl("-x", proxy.url, "-H", "Accept-Encoding: gzip", f"{server.url}/")
    assert (got.status, got.get("Content-Encoding"), got.get("Vary")) == (204, None, None)


def revalidating(request: Received) -> Answer:
    if request.get("If-None-Match") == '"v1"':
        return Answer(304, [("ETag", '"v1"')], b"")
    if request.method == "PUT":
        return Answer(204 if request.get("If-Match") == '"v1"' else 412, [], b"")
    return page(("ETag", '"v1"'))


def test_the_tag_is_undone_when_the_client_comes_back(proxy: Mitmdump, server: Origin, curl: Any) -> None:
    server.route("/", revalidating)
    through = ("-x", proxy.url, "-H", "Accept-Encoding: gzip")
    tag = curl(*through, f"{server.url}/").get("ETag")
    again = curl(*through, "-H", f"If-None-Match: {tag}", f"{server.url}/")
    assert (again.status, again.get("ETag"), again.get("Vary")) == (304, 'W/"v1~gzip"', "Accept-Encoding")
    assert curl(*through, "-T", "-", "-H", f"If-Match: {tag}", f"{server.url}/").status == 204
    plain = curl("-x", proxy.url, "-H", 'If-None-Match: "v1"', f"{server.url}/")
    assert (plain.status, plain.get("ETag")) == (304, '"v1"')


@pytest.mark.parametrize("coding", ["zstd", "br", "gzip"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_encoded_as_it_streams(
    proxy: Mitmdump, server: Origin, curl: Any, coding: str, chunked: bool
) -> None:
    line = json.dumps({"name": "a line of some length", "values": list(range(20))}).encode() + b"\n"
    whole = line * 60_000

    def pieces() -> Iterator[bytes]:
        yield from (whole[at : at + 99_991] for at in range(0, len(whole), 99_991))

    server.route("/", lambda _: Answer(headers=[("Content-Type", HTML)], body=pieces() if chunked else whole))
    got = curl("-x", proxy.url, "-H", f"Accept-Encoding: {coding}", f"{server.url}/")
    assert got.get("Content-Encoding") == coding
    assert got.get("Content-Length") is None
    assert DECODERS[coding](got.body) == whole
    assert len(got.body) < len(whole) // 4


@pytest.mark.parametrize("coding", ["zstd", "br", "gzip"])
def test_events_come_one_by_one(proxy: Mitmdump, server: Origin, coding: str) -> None:
    seen = threading.Semaphore(0)

    def events() -> Iterator[bytes]:
        for number in range(3):
            yield f"data: event {number}\n\n".encode()
            assert seen.acquire(timeout=100), "the client did not see the event before the next one"

    server.route("/", lambda _: page(body=events(), media_type="text/event-stream"))  # type: ignore[arg-type]
    makers: dict[str, Callable[[], Any]] = {
        "zstd": lambda: zstandard.ZstdDecompressor().decompressobj().decompress,
        "br": lambda: brotli.Decompressor().process,
        "gzip": lambda: zlib.decompressobj(31).decompress,
    }
    decode = makers[coding]()
    head = f"GET {server.url}/ HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {coding}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=100) as client:
        client.sendall(head.encode())
        stream = client.makefile("rb")
        fields = [line.strip().lower() for line in iter(stream.readline, b"\r\n")]
        assert f"content-encoding: {coding}".encode() in fields
        for number in range(3):
            text = b""
            while not text.endswith(b"\n\n"):
                size = int(stream.readline(), 16)
                text += decode(stream.read(size))
                stream.readline()
            assert text == f"data: event {number}\n\n".encode()
            seen.release()


def test_rules(mitmdump: Callable[..., Mitmdump], server: Origin, curl: Any) -> None:
    rules = ("/~u private/off", "/~u plain/gzip")
    proxy = mitmdump(*(part for rule in rules for part in ("--set", f"encode_rules={rule}")), script="encoding.py")

    def coding(path: str) -> str | None:
        return str(
            curl("-x", proxy.url, "-H", "Accept-Encoding: gzip, br", f"{server.url}{path}").get("Content-Encoding")
        )

    assert [coding("/private"), coding("/plain"), coding("/")] == ["None", "gzip", "br"]


def test_off(mitmdump: Callable[..., Mitmdump], server: Origin, curl: Any) -> None:
    proxy = mitmdump("--set", "encode=off", script="encoding.py")
    got = curl("-x", proxy.url, "--compressed", f"{server.url}/")
    assert (got.get("Content-Encoding"), got.get("Vary"), got.body) == (None, "Cookie", PAGE)


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("encode=brotli", "option encode='brotli': 'brotli' is not a supported coding; choose among zstd, br, gzip"),
        ("encode_min_size=lots", "option encode_min_size='lots': write a size such as"),
        (
            "encode_types=text",
            "option encode_types='text': 'text' is not a valid media type; write globs such as text/*",
        ),
        ("encode_rules=off", "option encode_rules='off': 'off' is not a valid rule; write /flow-filter/action"),
        ("encode_rules=//fast", "option encode_rules='//fast': '//fast': 'fast' is not a supported coding"),
        ("encode_rules=/~x/off", "option encode_rules='/~x/off': '~x' is not a valid flow filter"),
    ],
)
def test_a_wrong_value_ends_the_start_with_one_line(
    mitmdump: Callable[..., Mitmdump], option: str, complaint: str
) -> None:
    proxy = mitmdump("--set", option, script="encoding.py", wait=False)
    assert proxy.wait_exit() == 1
    proxy.wait_log(re.escape(complaint))
    assert "Traceback" not in proxy.log()


def test_a_hit_is_encoded_once_for_all(mitmdump: Callable[..., Mitmdump], server: Origin, curl: Any) -> None:
    proxy = mitmdump(script="policy.py")
    server.route("/", page(("ETag", '"v1"'), ("Cache-Control", "max-age=60")))
    through = ("-x", proxy.url, "-H", "Accept-Encoding: gzip")
    first, second, third = (curl(*through, f"{server.url}/") for _ in range(3))
    assert len(server.requests) == 1
    assert first.body == second.body == third.body
    assert gzip.decompress(third.body) == PAGE
    for got in (first, second, third):
        assert (got.get("Content-Encoding"), got.get("ETag")) == ("gzip", 'W/"v1~gzip"')
        assert got.get("Vary") == "Accept-Encoding"
        assert got.get("Content-Length") == str(len(got.body))
        assert len((got.get("Via") or "").split(",")) == 1
    plain = curl("-x", proxy.url, f"{server.url}/")
    assert (plain.body, plain.get("ETag"), plain.get("Content-Encoding")) == (PAGE, '"v1"', None)
    head = curl(*through, "-I", f"{server.url}/")
    assert (head.get("Content-Encoding"), head.get("ETag")) == ("gzip", 'W/"v1~gzip"')
    fresh = curl(*through, "-H", 'If-None-Match: W/"v1~gzip"', f"{server.url}/")
    assert (fresh.status, fresh.get("ETag"), fresh.get("Vary")) == (304, 'W/"v1~gzip"', "Accept-Encoding")
    brotli_too = curl("-x", proxy.url, "-H", "Accept-Encoding: br", f"{server.url}/")
    assert brotli.decompress(brotli_too.body) == PAGE
    assert len(server.requests) == 1
