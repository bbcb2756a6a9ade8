"""SIGTERM at either end of the tunnel lets sessions go on for a while, as it does with the proxy's own tunnels."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.home_and_works import HomeAndWorks
from tests.support.sockets import talk
from tests.support.waiting import wait_until

from proxy_policies.byte_streams.socket_options import reset_on_close

pytestmark = pytest.mark.timeout(120)

WAIT = 40.0


@pytest.fixture
def service() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(WAIT)
        yield listening


@pytest.fixture
def pair(tmp_path: Path, service: socket.socket) -> Iterator[HomeAndWorks]:
    started = HomeAndWorks(tmp_path, clients=["it"], grace="90s")
    started.start_work({"it": service.getsockname()[1]})
    yield started
    started.grace = "0s"
    started.close()


def is_refused(port: int) -> bool:
    """Return whether a client is refused; one that is not breaks its session off."""
    try:
        with socket.create_connection(("127.0.0.1", port), WAIT) as client:
            reset_on_close(client)
            client.settimeout(0.3)
            client.recv(1)
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


@pytest.mark.parametrize("ends", ["office", "home"])
def test_sessions_are_finished_and_none_begins(pair: HomeAndWorks, service: socket.socket, ends: str) -> None:
    process, port = pair.home if ends == "home" else pair.works[ends], pair.client_listeners["it"]
    with socket.create_connection(("127.0.0.1", port), WAIT) as client:
        served, _ = service.accept()
        served.settimeout(WAIT)
        with served:
            talk(client, served)
            process.process.send_signal(signal.SIGTERM)
            wait_until(lambda: is_refused(port), WAIT, "new clients to be refused")
            talk(client, served)
            served.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
            client.sendall(b"last words")
            client.shutdown(socket.SHUT_WR)
            assert served.recv(100) == b"last words"
            assert served.recv(1) == b""
    assert process.wait_exit(WAIT) == 0
    assert "Traceback" not in process.log()


def test_told_again_it_ends_at_once(pair: HomeAndWorks, service: socket.socket) -> None:
    work = pair.works["office"]
    with socket.create_connection(("127.0.0.1", pair.client_listeners["it"]), WAIT) as client:
        served, _ = service.accept()
        with served:
            talk(client, served)
            work.process.send_signal(signal.SIGTERM)
            work.wait_log("stopping: responses in progress have 90 s to finish")
            work.process.send_signal(signal.SIGTERM)
            assert work.wait_exit(WAIT) == 0
            with pytest.raises(ConnectionResetError):
                client.recv(1)
