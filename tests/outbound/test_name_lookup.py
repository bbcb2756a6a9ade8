"""Names are looked up in separate threads: one that hangs delays no other."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from proxy_policies.outbound import name_lookup


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let look-ups of names that begin with "hang" hang until the end of the test; the names asked for."""
    genuine, over, asked = socket.getaddrinfo, threading.Event(), []

    def getaddrinfo(host: str, *arguments: object, **how: object) -> object:
        asked.append(host)
        if host and host.startswith("hang"):
            over.wait(100)
            raise socket.gaierror(socket.EAI_NONAME, "no")
        return genuine(host, *arguments, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield asked
    over.set()


@pytest.fixture(autouse=True)
def _threads_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of an earlier test's may not have ended yet."""
    monkeypatch.setattr(name_lookup, "_lookups", name_lookup._Lookups())


async def test_names_that_hang_hold_up_no_other(hanging: list[str]) -> None:
    stuck = [asyncio.ensure_future(name_lookup.look_up(f"hang{n}.example", 80)) for n in range(20)]
    stuck += [asyncio.ensure_future(name_lookup.look_up("hang.example", 80)) for _ in range(200)]
    async with asyncio.timeout(100):
        assert (await name_lookup.look_up("localhost", 80))[0][4][1] == 80
        assert (await name_lookup.look_up("127.0.0.1", 80))[0][4] == ("127.0.0.1", 80)
    assert hanging.count("hang.example") <= 1
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)


async def test_addresses_need_no_thread(hanging: list[str]) -> None:
    for host in ("127.0.0.1", "::1", ""):
        assert await name_lookup.look_up(host, 80, flags=socket.AI_PASSIVE)
    assert not name_lookup._lookups._threads


async def test_when_every_thread_hangs_waiting_ends_in_time(
    hanging: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_lookup, "_lookups", name_lookup._Lookups(2))
    tasks = [asyncio.ensure_future(name_lookup.look_up(f"hang{n}.example", 80, timeout=0.2)) for n in range(5)]
    for error in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(error, socket.gaierror)
        assert error.errno == socket.EAI_AGAIN
    assert len(hanging) == 2
    assert not name_lookup._lookups._queue


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "home..example", "x.invalid"])
async def test_names_that_cannot_be(host: str) -> None:
    with pytest.raises((OSError, UnicodeError)):
        await name_lookup.look_up(host, 80, timeout=20)


async def test_answers_are_for_who_waits_also_if_others_leave(hanging: list[str]) -> None:
    first = asyncio.ensure_future(name_lookup.look_up("localhost", 80))
    second = asyncio.ensure_future(name_lookup.look_up("localhost", 80))
    await asyncio.sleep(0)
    first.cancel()
    assert await second


async def test_no_thread_is_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(OSError, match="can't start new thread"):
            await name_lookup.look_up("localhost", 80, timeout=20)
    assert await name_lookup.look_up("localhost", 80, timeout=20)
