"""What a real proxy says to systemd, and when."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.mitmdump import ADDONS, Mitmdump
from tests.support.workers import Workers


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0proxy-policies-test-{os.getpid()}")
        receiver.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@proxy-policies-test-{os.getpid()}")
        yield receiver


def test_ready_reloading_and_stopping(mitmdump: Callable[..., Mitmdump], systemd: socket.socket) -> None:
    proxy = mitmdump(wait=False)
    assert systemd.recv(200) == b"READY=1"
    proxy.wait_log("listening at")
    os.kill(proxy.pid, signal.SIGHUP)
    assert systemd.recv(200).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    assert systemd.recv(200) == b"READY=1"
    assert proxy.stop() == 0
    assert systemd.recv(200) == b"STOPPING=1"


def test_workers_are_ready_together(tmp_path: Path, systemd: socket.socket) -> None:
    workers = Workers(tmp_path, "2", "-s", str(ADDONS / "policy.py"), "--listen-host", "127.0.0.1", "-p", "0")
    try:
        assert systemd.recv(200) == b"READY=1"
    finally:
        workers.stop()
    assert systemd.recv(200) == b"STOPPING=1"
