"""The server, over real sockets: what it answers, and what it bears."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from proxy_policies.control import server, socket_files
from proxy_policies.control.client import ask
from proxy_policies.control.messages import MAX_QUESTION, ControlError, Question
from proxy_policies.control.server import MAX_CONNECTIONS, ControlServer

Ask = Callable[..., Awaitable[object]]


async def answer(question: Question) -> object:
    match question.command:
        case "echo":
            return list(question.arguments)
        case "refuse":
            raise ControlError("not today")
        case "break":
            raise ZeroDivisionError("oops")
        case "nonsense":
            return object()
    await asyncio.sleep(3600)
    return None


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[Path]:
    where = socket_files.folder_of(tmp_path) / "1.sock"
    listening = ControlServer(answer)
    await listening.start(socket_files.listen(where))
    yield where
    listening.close()
    await asyncio.sleep(0)


async def asked(path: Path, command: str, *arguments: str) -> object:
    return await asyncio.to_thread(ask, path, Question(command, arguments))


async def test_it_answers(path: Path) -> None:
    big = "x" * (MAX_QUESTION - 100)
    assert await asked(path, "echo", "a", "b\n") == ["a", "b\n"]
    assert await asked(path, "echo", big) == [big]


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("refuse", "^not today$"),
        ("break", "^the proxy could not answer: ZeroDivisionError: oops$"),
        ("nonsense", "^the proxy could not answer: TypeError: "),
    ],
)
async def test_what_goes_wrong_is_the_answer(path: Path, command: str, line: str) -> None:
    with pytest.raises(ControlError, match=line):
        await asked(path, command)
    assert await asked(path, "echo") == []


@pytest.mark.parametrize("sent", [b"", b"\n", b"GET / HTTP/1.1\r\n\r\n", b"\xff\n", b"x" * 2 * MAX_QUESTION])
async def test_what_is_no_question_ends_the_connection(path: Path, sent: bytes) -> None:
    client = await asyncio.to_thread(socket_files.connect, path, 10)
    reader, writer = await asyncio.open_connection(sock=client)
    writer.write(sent)
    writer.write_eof()
    answered = await reader.read()
    assert answered == b"" or answered.startswith(b'{"error": ')
    writer.close()
    assert await asked(path, "echo") == []


async def test_it_serves_so_many_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clients = [await asyncio.to_thread(socket_files.connect, path, 10) for _ in range(MAX_CONNECTIONS + 1)]
    streams = [await asyncio.open_connection(sock=client) for client in clients]
    assert await streams[-1][0].read() == b""
    for _, writer in streams:
        writer.close()
    for _ in range(1000):
        await asyncio.sleep(0.01)
        try:
            assert await asked(path, "echo") == []
            break
        except (OSError, ControlError):
            continue
    else:
        pytest.fail("still full")


async def test_who_asks_nothing_is_let_go(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "QUESTION_TIMEOUT", 0.05)
    reader, writer = await asyncio.open_connection(sock=await asyncio.to_thread(socket_files.connect, path, 10))
    assert await reader.read() == b""
    writer.close()
    with pytest.raises(ControlError):
        await asked(path, "sleep")
