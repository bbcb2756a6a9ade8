"""Encoded forms that are kept beside what is stored: used for every answer from the store, and never wrongly."""

import concurrent.futures
import gzip
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import brotli
import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received

Start = Callable[..., Mitmdump]
Origins = Callable[..., Origin]

COUNTING = """
import proxy_policies.encoding.codecs as codecs
genuine = codecs.encoder
def counted(coding, **options):
    print("compressing with", coding, flush=True)
    return genuine(coding, **options)
codecs.encoder = counted
"""
"""A second script that says each time an encoder is made."""
GZIP = ("-H", "Accept-Encoding: gzip")
TAG = ("ETag", '"v1"')
PLAIN = ("Content-Type", "text/plain")


@pytest.fixture
def counting(tmp_path: Path) -> tuple[str, str]:
    script = tmp_path / "counting.py"
    script.write_text(COUNTING)
    return "-s", str(script)


def text_of(size: int) -> bytes:
    return (b"the quick brown fox\n" * (size // 20 + 1))[:size]


@dataclass(frozen=True)
class Case:
    """The ways in which a stored response is reused."""

    id: str
    cache_control: str
    then: Callable[[Received], Answer] | None = None
    """The origin's answer from the second request on; None: as the first."""
    says: str = ""
    """What Cache-Status says of the second answer."""


def unchanged(_: Received) -> Answer:
    return Answer(304, [TAG])


CASES = [
    Case("validated", "no-cache", unchanged, "fwd-status=304"),
    Case("in place of a 503", "max-age=0, stale-if-error=60", lambda _: Answer(503, body=b"down " * 999), "=503"),
    Case("in place of a torn answer", "max-age=0, stale-if-error=60", lambda _: Answer(raw=b"", close=True), "failed"),
    Case("stale while revalidating", "max-age=0, stale-while-revalidate=60", unchanged, "hit"),
    Case("fresh", "max-age=60", None, "hit"),
]


@pytest.mark.parametrize("kind", ["memory", "disk"])
@pytest.mark.parametrize("size", [20_000, 3_000_000])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_it_is_compressed_once(
    case: Case, size: int, kind: str, mitmdump: Start, origin: Origins, curl: Any, counting: Any, tmp_path: Path
) -> None:
    server, text = origin(), text_of(size)
    first = Answer(headers=[("Cache-Control", case.cache_control), PLAIN, TAG], body=text)
    server.route("/", lambda r: first if len(server.requests) == 1 or case.then is None else case.then(r))
    cache = "memory" if kind == "memory" else f"disk:{tmp_path / 'store'}"
    proxy = mitmdump(*counting, "--set", f"cache={cache}")
    for turn in range(3):
        result = curl("-x", proxy.url, *GZIP, f"{server.url}/")
        assert (result.status, result.get("content-encoding"), result.get("etag")) == (200, "gzip", 'W/"v1~gzip"')
        assert gzip.decompress(result.body) == text
        assert case.says in (result.get("cache-status") or "") or turn == 0
    assert proxy.log().count("compressing with gzip") == 1
    plain = curl("-x", proxy.url, f"{server.url}/")
    assert (plain.get("content-encoding"), plain.get("etag"), plain.body) == (None, '"v1"', text)
    assert "rror" not in proxy.log().replace("stale-if-error", "")


def test_a_form_that_is_not_there_is_made_after_a_304_and_kept(
    mitmdump: Start, origin: Origins, curl: Any, counting: Any
) -> None:
    server, text = origin(), text_of(20_000)
    first = Answer(headers=[("Cache-Control", "no-cache"), PLAIN, TAG], body=text)
    server.route("/", lambda r: unchanged(r) if r.get("if-none-match") else first)
    proxy = mitmdump(*counting)
    curl("-x", proxy.url, f"{server.url}/")
    for _ in range(2):
        result = curl("-x", proxy.url, "-H", "Accept-Encoding: br", f"{server.url}/")
        assert brotli.decompress(result.body) == text
    assert proxy.log().count("compressing") == 1


UPDATES = [("Content-Type", "image/png"), ("Cache-Control", "no-cache, no-transform"), ("Content-Encoding", "x-odd")]


@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update[1])
def test_what_a_304_says_decides_anew(
    update: tuple[str, str], mitmdump: Start, origin: Origins, curl: Any, counting: Any
) -> None:
    server, text = origin(), text_of(20_000)
    first = Answer(headers=[("Cache-Control", "no-cache"), PLAIN, TAG], body=text)
    server.route("/", lambda r: Answer(304, [TAG, update]) if r.get("if-none-match") else first)
    proxy = mitmdump(*counting)
    curl("-x", proxy.url, *GZIP, f"{server.url}/")
    result = curl("-x", proxy.url, *GZIP, f"{server.url}/")
    assert result.get(update[0]) == update[1]
    assert (result.body, result.get("content-length"), result.get("etag")) == (text, str(len(text)), '"v1"')


def test_a_response_for_simultaneous_requests_is_compressed_once(
    mitmdump: Start, origin: Origins, curl: Any, counting: Any
) -> None:
    server, proxy, text = origin(), mitmdump(*counting), os.urandom(400_000).hex().encode()

    def answer(_: Received) -> Answer:
        time.sleep(1.5)
        return Answer(headers=[("Cache-Control", "max-age=60"), PLAIN, TAG], body=text)

    server.route("/", answer)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: curl("-x", proxy.url, *GZIP, f"{server.url}/"), range(8)))
    assert {gzip.decompress(result.body) for result in results} == {text}
    assert len(server.requests) == proxy.log().count("compressing") == 1


def test_a_head_says_what_its_get_would(mitmdump: Start, origin: Origins, curl: Any) -> None:
    server = origin()
    server.route("/", Answer(headers=[("Cache-Control", "max-age=60"), PLAIN, TAG], body=text_of(20_000)))
    proxy = mitmdump()
    curl("-x", proxy.url, *GZIP, f"{server.url}/")
    got, head = (curl("-x", proxy.url, *GZIP, *flags, f"{server.url}/") for flags in ((), ("-I",)))
    for name in ("content-length", "content-encoding", "etag", "vary"):
        assert head.get(name) == got.get(name) is not None
    assert int(head.get("content-length") or 0) == len(got.body)


@pytest.mark.parametrize("then", [unchanged, lambda _: Answer(503, body=b"down " * 999)], ids=["304", "503"])
def test_a_large_form_is_sent_piece_by_piece_and_kept_once(
    then: Callable[[Received], Answer], mitmdump: Start, origin: Origins, curl: Any, counting: Any, tmp_path: Path
) -> None:
    server, text = origin(), os.urandom(15_000_000).hex().encode()  # 30 MB that become some 15 MB
    headers = [("Cache-Control", "max-age=0, stale-if-error=60"), PLAIN, TAG]
    server.route("/", lambda r: Answer(headers=headers, body=text) if len(server.requests) == 1 else then(r))
    options = (f"cache=disk:{tmp_path / 'store'}", "cache_size=1g", "cache_max_object=100m", "encode=gzip")
    proxy = mitmdump(*counting, *(part for option in options for part in ("--set", option)))
    for _ in range(3):
        result = curl("-x", proxy.url, *GZIP, "--limit-rate", "20M", f"{server.url}/")
        assert gzip.decompress(result.body) == text
    assert proxy.log().count("compressing") == 1


def test_a_large_form_that_is_made_as_it_is_sent(mitmdump: Start, origin: Origins, curl: Any) -> None:
    server, text = origin(), text_of(2_000_000)
    server.route("/", Answer(headers=[("Cache-Control", "max-age=60"), PLAIN, TAG], body=text))
    proxy = mitmdump("--set", "encode=gzip")
    assert curl("-x", proxy.url, f"{server.url}/").body == text
    for _ in range(2):
        result = curl("-x", proxy.url, *GZIP, f"{server.url}/")
        assert (result.code, gzip.decompress(result.body)) == (0, text)
    assert len(server.requests) == 1


@pytest.mark.parametrize("hook", ["request", "responseheaders"])
@pytest.mark.parametrize("size", [20_000, 3_000_000])
def test_what_a_script_puts_in_place_is_not_what_is_kept(
    size: int, hook: str, mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path
) -> None:
    script, server, text = tmp_path / "edit.py", origin(), text_of(size)
    script.write_text(f"""
def {hook}(flow):
    if flow.response and "x-edit" in flow.request.headers:
        flow.response.content = b"edited " * 999
""")
    server.route("/", Answer(headers=[("Cache-Control", "max-age=60"), PLAIN, TAG], body=text))
    proxy = mitmdump("-s", str(script))
    assert curl("-x", proxy.url, f"{server.url}/").body == text
    for is_edited in (True, False) * 2:
        edit = ("-H", "X-Edit: 1") if is_edited else ()
        result = curl("-x", proxy.url, *GZIP, *edit, f"{server.url}/")
        assert (result.code, result.get("content-encoding")) == (0, "gzip")
        assert gzip.decompress(result.body) == (b"edited " * 999 if is_edited else text)
    assert len(server.requests) == 1


def test_conditions_on_either_tag(mitmdump: Start, origin: Origins, curl: Any) -> None:
    server = origin()
    server.route("/", Answer(headers=[("Cache-Control", "max-age=60"), PLAIN, TAG], body=text_of(20_000)))
    proxy = mitmdump()
    curl("-x", proxy.url, *GZIP, f"{server.url}/")
    for given, expected in (('W/"v1~gzip"', 'W/"v1~gzip"'), ('"v1"', '"v1"')):
        result = curl("-x", proxy.url, *GZIP, "-H", f"If-None-Match: {given}", f"{server.url}/")
        assert (result.status, result.body, result.get("etag")) == (304, b"", expected)
        assert "accept-encoding" in (result.get("vary") or "").lower()
    part = curl("-x", proxy.url, *GZIP, "-r", "0-9", "-H", 'If-Range: W/"v1~gzip"', f"{server.url}/")
    assert part.status == 200  # a part of the plain form does not continue the encoded one


OPTIONS = [
    ("encode=gzip", "gzip", gzip.decompress),
    ("encode=br", "br", brotli.decompress),
    ("encode=off", None, bytes),
    ("encode_types=image/*", None, bytes),
    ("encode_rules=//off", None, bytes),
    ("encode_min_size=1m", None, bytes),
]


def test_other_options_never_find_a_wrong_form(mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path) -> None:
    server, text = origin(), text_of(20_000)
    server.route("/", Answer(headers=[("Cache-Control", "max-age=3600"), PLAIN, TAG], body=text))
    for option, coding, decode in OPTIONS * 2:
        proxy = mitmdump("--set", f"cache=disk:{tmp_path / 'store'}", "--set", option)
        result = curl("-x", proxy.url, "-H", "Accept-Encoding: gzip, br", f"{server.url}/")
        assert (result.get("content-encoding"), decode(result.body)) == (coding, text), option
        assert result.get("etag") == (f'W/"v1~{coding}"' if coding else '"v1"')
        proxy.stop()
    assert len(server.requests) == 1


def test_what_is_fetched_anew_is_not_stored_as_it_is_sent(mitmdump: Start, origin: Origins, curl: Any) -> None:
    server, text = origin(), text_of(20_000)
    proxy = mitmdump("--set", "cache_max_object=10k")  # the plain form is not stored, and the encoded one must not be

    def answer(request: Received) -> Answer:
        fields = [("Cache-Control", "no-cache"), PLAIN, ("ETag", '"v2"')]
        if len(server.requests) == 1:
            return Answer(206, [*fields[:2], TAG, ("Content-Range", "bytes 0-9/20000")], text[:10])
        if request.get("range"):  # another version's rest: If-Range is ignored
            return Answer(206, [*fields, ("Content-Range", "bytes 10-19999/20000")], text[10:])
        return Answer(304, fields) if request.get("if-none-match") else Answer(200, fields, text)

    server.route("/", answer)
    curl("-x", proxy.url, "-r", "0-9", f"{server.url}/")
    for _ in range(3):
        result = curl("-x", proxy.url, *GZIP, f"{server.url}/")
        assert (result.status, result.get("content-encoding"), result.get("etag")) == (200, "gzip", 'W/"v2~gzip"')
        assert gzip.decompress(result.body) == text
    assert [request.get("range") for request in server.requests] == ["bytes=0-9", *["bytes=10-", None] * 3]
