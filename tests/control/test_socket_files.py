"""The files of control sockets."""

import os
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from proxy_policies.control.socket_files import connect, folder_of, listen, remove_stale, sockets


def listening_in(confdir: Path, name: str) -> socket.socket:
    confdir.mkdir(parents=True, exist_ok=True)
    return listen(folder_of(confdir) / name)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
def test_only_its_owner_gets_in(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with listening_in(tmp_path, "1.sock"):
            assert folder_of(tmp_path).stat().st_mode & 0o777 == 0o700
            assert sockets(tmp_path)[0].stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


@pytest.mark.parametrize("depth", [1, 10, 30])
def test_a_path_may_be_longer_than_a_sockets_address(tmp_path: Path, depth: int) -> None:
    confdir = tmp_path.joinpath(*["a long name of a folder"] * depth)
    with listening_in(confdir, "1.sock") as server:
        server.setblocking(True)
        with connect(sockets(confdir)[0], 5) as client:
            accepted, _ = server.accept()
            client.sendall(b"hello")
            assert accepted.recv(5) == b"hello"
            accepted.close()
    assert len(os.listdir("/proc/self/fd")) < 500


def test_what_is_in_the_way_is_replaced(tmp_path: Path) -> None:
    listening_in(tmp_path, "1.sock").close()
    with listening_in(tmp_path, "1.sock"):
        connect(sockets(tmp_path)[0], 5).close()


def test_the_sockets_of_the_dead_are_removed(tmp_path: Path) -> None:
    listening_in(tmp_path, "1.sock").close()
    (folder_of(tmp_path) / "2.sock").touch()
    (folder_of(tmp_path) / "notes").touch()
    with listening_in(tmp_path, "3.sock"):
        remove_stale(tmp_path)
        assert [path.name for path in sockets(tmp_path)] == ["3.sock"]
    assert (folder_of(tmp_path) / "notes").exists()


def test_one_that_is_being_made_is_not_taken_for_a_dead_ones(tmp_path: Path) -> None:
    """Other proxies that start, and clients, inspect every socket in the confdir at any moment: it is not removed."""

    def look(frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code is not listen.__code__:
            return None
        sys.settrace(None)
        remove_stale(tmp_path)
        sys.settrace(look)
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        server = listening_in(tmp_path, "1.sock")
    finally:
        sys.settrace(before)
    with server:
        connect(sockets(tmp_path)[0], 5).close()
        assert [path.name for path in folder_of(tmp_path).iterdir()] == ["1.sock"]


def test_no_folder_has_no_sockets(tmp_path: Path) -> None:
    remove_stale(tmp_path / "nowhere")
    assert sockets(tmp_path / "nowhere") == []
