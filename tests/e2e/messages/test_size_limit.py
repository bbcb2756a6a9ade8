"""mitmproxy's `body_size_limit` holds for what is streamed, too: no body is larger, of whatever type and length."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin

LIMIT = 1000
PIECES = [b"%09d\n" % number for number in range(500)]
PLAIN, EVENTS, GRPC = "text/plain", "text/event-stream", "application/grpc"


@pytest.mark.parametrize("mode", ["regular", "reverse"])
def test_no_body_is_larger_than_the_limit(
    mode: str, mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], curl: Any, tmp_path: Path
) -> None:
    server = origin()
    is_reverse = mode == "reverse"
    limited = ("--set", f"body_size_limit={LIMIT}")
    proxy = mitmdump(*limited, mode=f"reverse:{server.url}" if is_reverse else None)
    upload = tmp_path / "upload"
    upload.write_bytes(b"".join(PIECES))
    for kind in (PLAIN, EVENTS, GRPC):
        for versions in (("--http1.1",), ("--http2", "-k")) if is_reverse else (("--http1.1", "-x", proxy.url),):
            scheme = "https" if "--http2" in versions else "http"
            base = f"{scheme}://127.0.0.1:{proxy.port}" if is_reverse else server.url
            for times in range(2):  # nothing was stored of the first
                fields = [("Content-Type", kind), ("Cache-Control", "max-age=60")]
                server.route("/down", Answer(headers=fields, body=iter(PIECES)))
                got = curl(*versions, f"{base}/down")
                case = (kind, versions, times, got)
                assert len(got.body) <= LIMIT, case
                assert got.status == 502 if kind == PLAIN else got.code != 0, case
            server.requests.clear()
            sent = curl(
                *versions,
                "-T",
                str(upload),
                "-H",
                "Transfer-Encoding: chunked",
                "-H",
                f"Content-Type: {kind}",
                f"{base}/up",
            )
            assert sent.status == 413 or sent.code != 0, (kind, versions, sent)
            assert not [request for request in server.requests if len(request.body) > LIMIT]


def test_what_is_not_larger_passes(mitmdump: Callable[..., Mitmdump], origin: Callable[..., Origin], curl: Any) -> None:
    server = origin()
    proxy = mitmdump("--set", "body_size_limit=10k", mode=f"reverse:{server.url}")
    for kind in (PLAIN, EVENTS):
        server.route("/down", Answer(headers=[("Content-Type", kind)], body=iter(PIECES)))
        assert curl(f"{proxy.url}/down").body == b"".join(PIECES)
        assert curl("--http2", "-k", "-d", "x=1", f"https://127.0.0.1:{proxy.port}/up").status == 200
