"""What is said to systemd, over a real socket."""

import socket
from pathlib import Path

import pytest

from proxy_policies.service.sd_notify import READY, VARIABLE, notify, reloading


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_a_state_arrives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str) -> None:
    name = str(tmp_path / "notify")[-100:] if kind == "abstract" else "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        if kind == "abstract":
            receiver.bind(f"\0{name}")
            monkeypatch.setenv(VARIABLE, f"@{name}")
        else:
            monkeypatch.chdir(tmp_path)
            receiver.bind(name)
            short = f"/proc/self/cwd/{name}"  # a socket's address is short
            monkeypatch.setenv(VARIABLE, short)
        receiver.settimeout(100)
        notify(READY)
        assert receiver.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "nonsense", "/nowhere/notify", "@nobody", "vsock:2:1", "/" + "x" * 200])
def test_a_missing_listener_is_ignored(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv(VARIABLE, address)
    notify(READY)
    monkeypatch.delenv(VARIABLE)
    notify(READY)


def test_reloading_says_when() -> None:
    first, second = reloading().splitlines()
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0
