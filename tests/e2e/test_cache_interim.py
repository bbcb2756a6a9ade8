"""102 and 103 reach the client and are not stored."""

from collections.abc import Callable
from typing import Any

import pytest
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
