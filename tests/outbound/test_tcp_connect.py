"""Connecting to several addresses: a silent one does not delay the others; errors are readable."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Iterator

import pytest

from proxy_policies.outbound import tcp_connect


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "connection refused"),
        (TimeoutError(), "no answer within 3 s"),
        (TimeoutError(errno.ETIMEDOUT, "x"), "no answer"),
        (socket.gaierror(socket.EAI_NONAME, "x"), "the name does not resolve"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "the name server does not answer"),
        (OSError(errno.ENETUNREACH, "x"), "network unreachable"),
        (OSError(errno.EPERM, "Not permitted"), "Not permitted"),
        (OSError("work is gone"), "work is gone"),
        (UnicodeError("label empty or too long"), "not a valid name or port"),
        (asyncio.IncompleteReadError(b"", 4), "0 bytes read on a total of 4 expected bytes"),
        (EOFError(), "EOFError"),
        (
            ExceptionGroup("", [ConnectionRefusedError(errno.ECONNREFUSED, "x"), ExceptionGroup("", [OSError("y")])]),
            "connection refused; y",
        ),
    ],
    ids=repr,
)
def test_reasons(error: BaseException, expected: str) -> None:
    assert tcp_connect.reason(error, 3) == expected


def test_words_for_tls() -> None:
    unverified = ssl.SSLCertVerificationError()
    unverified.verify_message = "certificate is not yet valid"
    assert tcp_connect.reason(unverified, 3).endswith("certificate is not yet valid; is the clock right?")
    for error in (ssl.SSLError(1, "[SSL: X] x (_ssl.c:1020)"), ssl.SSLEOFError(8, "EOF"), ssl.SSLError()):
        assert "_ssl.c" not in tcp_connect.reason(error, 3)


def test_the_empty_name_is_no_host() -> None:
    """Not this machine, as to getaddrinfo(3)."""
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(socket.gaierror):
        asyncio.run(tcp_connect.connect("", listener.getsockname()[1]))


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """An address that answers no connect: its queue of unaccepted connections is full."""
    with socket.create_server(("127.0.0.2", 0), backlog=0) as listener:
        fill = [socket.socket() for _ in range(4)]
        for sock in fill:
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()
        for sock in fill:
            sock.close()


async def test_a_silent_address_does_not_delay_the_next(
    silent: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", silent[1])):

        def both(host: str, port: int, **how: object) -> list[object]:
            kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            return [(*kind, silent), (*kind, ("127.0.0.1", port))]

        monkeypatch.setattr(socket, "getaddrinfo", both)
        with await tcp_connect.connect("home.example", silent[1], timeout=20) as sock:
            assert sock.getpeername() == ("127.0.0.1", silent[1])


async def test_silence_ends_in_time(silent: tuple[str, int]) -> None:
    with pytest.raises(TimeoutError):
        await tcp_connect.connect(*silent, timeout=0.2)


async def test_who_gives_up_leaves_no_socket_behind(silent: tuple[str, int]) -> None:
    connecting = asyncio.ensure_future(tcp_connect.connect(*silent))
    await asyncio.sleep(0.05)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("local_addr", [None, ("127.0.0.1", 0)])
async def test_a_body_waits_for_no_acknowledgement_of_its_head(host: str, local_addr: tuple[str, int] | None) -> None:
    """By Nagle's algorithm it would, 40 ms a time: the bare socket says that it is not to be used."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with await tcp_connect.connect(host, port, local_addr=local_addr) as sock:
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
