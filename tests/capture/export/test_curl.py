"""A request as a curl command: what curl then sends is the request."""

import gzip
import subprocess

import pytest
from tests.support.origin import Answer, Origin
from tests.support.programs import need

from proxy_policies.capture.export.curl import curl_command, curl_script
from proxy_policies.capture.model import Body, Entry, Headers, Request, Response, Times

FORM = ("Content-Type", "application/x-www-form-urlencoded")
REQUESTS: dict[str, tuple[str, str, Headers, bytes]] = {
    "get": ("GET", "/a?b=1&c='x'", (("X-A", "it's"), ("X-Empty", "")), b""),
    "post": ("POST", "/", (FORM,), b"a=1&b=%20"),
    "at": ("POST", "/", (("Content-Type", "text/plain"),), b"@file"),
    "put": ("PUT", "/$HOME/`id`", (("Content-Type", "application/json"),), '{"ä": "\\n$(x)"}'.encode()),
    "delete": ("DELETE", "/x", (), b""),
    "binary": ("POST", "/", (("Content-Type", "image/png"),), bytes(range(256))),
    "lines": ("POST", "/", (("Content-Type", "text/plain"),), b"a\r\nb\n"),
}


@pytest.mark.parametrize(("method", "path", "fields", "body"), REQUESTS.values(), ids=REQUESTS)
def test_curl_sends_what_was_recorded(method: str, path: str, fields: Headers, body: bytes, origin: Origin) -> None:
    need("curl")
    headers = (("Host", f"127.0.0.1:{origin.port}"), *fields, ("Content-Length", str(len(body))))
    command = curl_command(Request(method, f"{origin.url}{path}", headers, Body(body)))
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (got,) = origin.requests
    assert (got.method, got.body) == (method, body)
    assert got.target.replace("%27", "'") == path
    assert [(name, value) for name, value in got.headers if (name, value) in fields] == list(fields)


def test_curl_chooses_the_codings_that_it_can_decode(origin: Origin) -> None:
    origin.route("/", Answer(headers=[("Content-Encoding", "gzip")], body=gzip.compress(b"a page")))
    command = curl_command(Request("GET", origin.url, (("accept-encoding", "gzip, br, zstd"),)))
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=60)
    assert done.stdout == b"a page"
    assert "gzip" in (origin.requests[0].get("accept-encoding") or "")


def test_a_script_has_all_requests() -> None:
    entries = [Entry(Request("GET", f"http://a.test/{n}"), Response(200), Times(1.0)) for n in (1, 2)]
    text = "".join(curl_script(entries))
    assert text.startswith("#!/bin/sh\n")
    assert "\n# 2: 200\ncurl http://a.test/2\n" in text
