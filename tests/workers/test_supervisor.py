"""The supervisor's arguments, and the port that its workers share."""

import asyncio
import errno
import os
import signal
import socket

import pytest
from tests.support.waiting import PATIENCE

from proxy_policies.workers import supervisor
from proxy_policies.workers.supervisor import REPORT_FD, Supervisor, fixed_port, main, report, reserve_port

IP_VERSIONS = {4: socket.AF_INET, 6: socket.AF_INET6}


@pytest.mark.parametrize("arguments", [[], ["none"], ["0"], ["-p", "1"]], ids=str)
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().out.startswith("usage")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-p", "0"], ["-p", "77"]),
        (["--listen-port", "0"], ["--listen-port", "77"]),
        (["--listen-port=0"], ["--listen-port=77"]),
        (["--set", "listen_port=0"], ["--set", "listen_port=77"]),
        (["-p", "8080", "-n", "0"], ["-p", "8080", "-n", "0"]),
    ],
    ids=str,
)
def test_a_port_that_is_free_is_chosen_once(arguments: list[str], expected: list[str]) -> None:
    assert fixed_port(arguments, 77) == expected


@pytest.mark.parametrize(("version", "address"), [(4, "127.0.0.1"), (4, "127.0.0.2"), (4, ""), (6, "::1"), (6, "")])
def test_the_port_is_reserved_on_every_address(version: int, address: str) -> None:
    if version == 6 and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    with reserve_port() as held:
        where = (address, held.getsockname()[1])
        with socket.socket(IP_VERSIONS[version]) as other, pytest.raises(OSError, match=str(errno.EADDRINUSE)):
            other.bind(where)
        with socket.socket(IP_VERSIONS[version]) as worker:
            worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as asyncio does
            if version == 6:
                worker.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            worker.bind(where)
            worker.listen()


async def test_a_worker_that_no_longer_reports_is_started_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hangs = f"import os, time; os.write(int(os.environ['{REPORT_FD}']), b'%d 0' % os.getpid()); time.sleep(1000)"
    monkeypatch.setattr(supervisor, "PREPARE", hangs)
    monkeypatch.setattr(supervisor, "REPORT_INTERVAL", 0.01)
    running = asyncio.create_task(Supervisor(1, [], 0).run())
    said = ""
    async with asyncio.timeout(10 * PATIENCE):
        while "starting it again" not in said:
            await asyncio.sleep(0.01)
            said += capsys.readouterr().out
    signal.raise_signal(signal.SIGTERM)
    assert await running == 0
    assert "worker 1 has not responded for " in said
    assert "worker 1 died (SIGKILL)" in said


async def test_a_worker_reports_again_and_again_even_if_none_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "REPORT_INTERVAL", 0.0)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    reporting = asyncio.create_task(report(writer, 2.5))
    expected = b"%d 2.500000\n" % os.getpid()
    try:
        async with asyncio.timeout(10 * PATIENCE):
            for _ in range((1 << 16) // len(expected) + 2):
                await asyncio.sleep(0)
        assert os.read(reader, 2 * len(expected)) == 2 * expected
    finally:
        reporting.cancel()
        os.close(reader)
        os.close(writer)
