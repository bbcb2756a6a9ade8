"""102 and 103 reach the client and are not stored."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.h2_origin import TrailingOrigin
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, exchange_raw

HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nX-Hint: 1\r\n\r\n"
FINAL = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\none"


@pytest.mark.parametrize(
    ("interim", "heads"),
    [
        (HINTS, ["HTTP/1.1 103 Early Hints"]),
        (b"HTTP/1.1 102 Processing\r\n\r\n" + HINTS, ["HTTP/1.1 102 Processing", "HTTP/1.1 103 Early Hints"]),
        (b"HTTP/1.1 100 Continue\r\n\r\n", []),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 40, ["HTTP/1.1 103 Early Hints"] * 40),
    ],
    ids=["103", "102 and 103", "100", "many"],
)
def test_interim_responses(
    interim: bytes,
    heads: list[str],
    mitmdump: Callable[..., Mitmdump],
    origin: Callable[..., Origin],
    curl: Any,
) -> None:
    server, proxy = origin(), mitmdump(script="cache.py")
    server.route("/", Answer(raw=interim + FINAL))
    first = curl("-x", proxy.url, f"{server.url}/")
    second = curl("-x", proxy.url, f"{server.url}/")
    assert first.heads == [*heads, "HTTP/1.1 200 OK"]
    assert second.heads == ["HTTP/1.1 200 OK"]
    assert first.body == second.body == b"one"
    assert second.get("x-hint") is None
    assert "hit" in str(second.get("cache-status"))


def test_none_to_http_1_0(mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin]) -> None:
    server, proxy = origin(), mitmdump(script="cache.py")
    server.route("/", Answer(raw=HINTS + FINAL))
    answer = exchange_raw(proxy.port, f"GET {server.url}/ HTTP/1.0\r\n\r\n".encode())
    assert answer.split(b"\r\n")[0].endswith(b" 200 OK")
    assert answer.endswith(b"one")


def test_interim_responses_to_http_2_clients(
    mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], curl: Any, server_tls: ssl.SSLContext,
    ca_file: Path,
) -> None:  # fmt: skip
    server = origin(server_tls)
    server.route("/", Answer(raw=b"HTTP/1.1 102 Processing\r\n\r\n" + HINTS + FINAL))
    options = ("connection_strategy=lazy", f"ssl_verify_upstream_trusted_ca={ca_file}")
    proxy = mitmdump(*(part for option in options for part in ("--set", option)), script="cache.py")
    flags = ("--http2", "-x", proxy.url, "--cacert", str(proxy.ca))
    first, second = (curl(*flags, f"{server.url}/") for _ in range(2))
    assert [head.strip() for head in first.heads[1:]] == ["HTTP/2 102", "HTTP/2 103", "HTTP/2 200"]
    assert [head.strip() for head in second.heads[1:]] == ["HTTP/2 200"]
    assert (first.body, second.body) == (b"one", b"one")


def test_interim_responses_of_http_2_origins(
    mitmdump: Callable[..., Mitmdump], curl: Any, server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    fields = [("cache-control", "max-age=60")]
    server = TrailingOrigin(server_tls, fields, b"one", [], hints=[("link", "</a.css>")])
    proxy = mitmdump("--set", f"ssl_verify_upstream_trusted_ca={ca_file}", script="cache.py")
    flags = ("--http2", "-x", proxy.url, "--cacert", str(proxy.ca))
    first, second = (curl(*flags, f"{server.url}/") for _ in range(2))
    assert [head.strip() for head in first.heads[1:]] == ["HTTP/2 103", "HTTP/2 200"]
    assert (first.body, second.body, second.get("link")) == (b"one", b"one", None)
    assert "hit" in str(second.get("cache-status"))
    server.close()
