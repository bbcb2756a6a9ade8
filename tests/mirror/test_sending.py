"""A request sent to the candidate itself."""

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from proxy_policies.capture.check.http_client import SendError
from proxy_policies.capture.model import Request
from proxy_policies.mirror.sending import sender, tls_context

REQUEST = Request("GET", "http://127.0.0.1:1/a/b?c=1", (("Host", "127.0.0.1:1"), ("X-A", "1")))


def no_tls() -> ssl.SSLContext:
    pytest.fail("TLS to a candidate without it")


async def asked(answer: bytes, tls: ssl.SSLContext | None = None) -> tuple[asyncio.Server, list[bytes], int]:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    return server, seen, server.sockets[0].getsockname()[1]


async def test_its_target_is_in_origin_form() -> None:
    server, seen, port = await asked(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    response, _ = await sender(f"http://127.0.0.1:{port}", asyncio.open_connection, no_tls, 100)(REQUEST)
    assert (response.status, response.body.content) == (200, b"hi")
    assert seen == [b"GET /a/b?c=1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\nX-A: 1\r\n\r\n"]
    server.close()


FAILS = {
    "too large": (b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + b"x" * 200, "larger than"),
    "nothing": (b"", "incomplete response"),
    "a stream that is cut": (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 99\r\n\r\ndata: 1\n\n",
        "its stream was cut",
    ),
}


@pytest.mark.parametrize(("answer", "why"), FAILS.values(), ids=FAILS)
async def test_what_is_no_answer_says_why(answer: bytes, why: str) -> None:
    server, _, port = await asked(answer)
    with pytest.raises(SendError, match=why):
        await sender(f"http://127.0.0.1:{port}", asyncio.open_connection, no_tls, 100)(REQUEST)
    server.close()


TRUSTED = {
    "the CA's file": ("ca.pem", False, True),
    "no verification": (None, True, True),
    "the system's CAs": (None, False, False),
}


@pytest.mark.parametrize(("ca_file", "insecure", "is_trusted"), TRUSTED.values(), ids=TRUSTED)
async def test_a_candidate_is_verified_as_origins_are(
    ca: trustme.CA, tmp_path: Path, ca_file: str | None, insecure: bool, is_trusted: bool
) -> None:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(server_tls)
    server, _, port = await asked(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", server_tls)
    context = tls_context(str(tmp_path / ca_file) if ca_file else None, None, insecure)
    send = sender(f"https://localhost:{port}", asyncio.open_connection, lambda: context, 100)
    if is_trusted:
        assert (await send(REQUEST))[0].status == 200
    else:
        with pytest.raises(SendError, match="certificate verify failed"):
            await send(REQUEST)
    server.close()
