"""WebSocket connections: recorded, replayed with nobody there, and sent to another build."""

import json
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import websockets.sync.server
from tests.e2e.test_capture_cli import capture

from proxy_policies.capture.reader import open_capture

CLIENT = """
import json, ssl, sys, websockets.sync.client
from websockets.exceptions import ConnectionClosed
url, *said = sys.argv[1:]
trust = ssl.create_default_context() if url.startswith("wss") else None
with websockets.sync.client.connect(url, ssl=trust) as client:
    try:
        print(client.recv(timeout=20))
        for text in said:
            client.send(text)
            print(client.recv(timeout=20))
            print(client.recv(timeout=20).hex())
        client.send("enough")
        client.recv(timeout=20)
    except ConnectionClosed as end:
        print(end.rcvd.code, end.rcvd.reason)
"""


class Chat:
    """A server that greets, answers each message by text and octets, and hangs up when told that it is enough."""

    def __init__(self, greeting: str = "welcome", answer: str = "heard") -> None:
        self.greeting, self.answer = greeting, answer
        self.heard: list[object] = []

    def __call__(self, connection: websockets.sync.server.ServerConnection) -> None:
        connection.send(json.dumps({"say": self.greeting}))
        for message in connection:
            self.heard.append(message)
            if message == "enough":
                connection.close(4001, "so it is")
                return
            connection.send(json.dumps({self.answer: message}))
            connection.send(b"\x00\xff")


@contextmanager
def serving(chat: Chat, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve a chat on a free port and give its URL."""
    with websockets.sync.server.serve(chat, "127.0.0.1", 0, ssl=tls) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"{'wss' if tls else 'ws'}://localhost:{server.socket.getsockname()[1]}/chat?room=1"
        server.shutdown()
        thread.join(10)


def client(url: str, *said: str) -> tuple[str, ...]:
    return ("--", sys.executable, "-c", CLIENT, url, *said)


SAID = '{"say": "welcome"}\n{"heard": "one"}\n00ff\n{"heard": "two"}\n00ff\n4001 so it is\n'


@pytest.fixture(params=["ws", "wss"])
def recorded(
    request: pytest.FixtureRequest, tmp_path: Path, server_tls: ssl.SSLContext, ca_file: Path
) -> tuple[str, Path]:
    """Record a conversation whose server is gone afterwards."""
    trust = ("--set", f"ssl_verify_upstream_trusted_ca={ca_file}")
    with serving(Chat(), server_tls if request.param == "wss" else None) as url:
        done = capture(tmp_path, "record", *trust, "chat.har", *client(url, "one", "two"))
    assert (done.returncode, done.stdout) == (0, SAID), done.stderr
    return url, tmp_path / "chat.har"


def test_a_conversation_is_replayed_with_nobody_there(recorded: tuple[str, Path], tmp_path: Path) -> None:
    url, path = recorded
    (entry,) = open_capture(path)
    assert (entry.close_code, entry.close_reason, entry.closed_by_client) == (4001, "so it is", False)
    done = capture(tmp_path, "replay", "chat.har", *client(url, "one", "two"))
    assert (done.returncode, done.stdout) == (0, SAID), done.stderr


def test_what_was_not_recorded_ends_the_conversation(recorded: tuple[str, Path], tmp_path: Path) -> None:
    url, _ = recorded
    done = capture(tmp_path, "replay", "chat.har", *client(url, "one", "three"))
    assert done.returncode == 1, done.stderr
    why = "message 5: recorded 'two', got 'three'"
    assert done.stdout == SAID.partition('{"heard": "two"}')[0] + f"4599 not recorded: {why}\n"
    assert why in done.stderr


def test_a_plain_request_gets_no_handshake(tmp_path: Path) -> None:
    with serving(Chat()) as url:
        assert capture(tmp_path, "record", "chat.har", *client(url)).returncode == 0
    plain = ("--", "curl", "-sS", url.replace("ws://", "http://"))
    done = capture(tmp_path, "replay", "chat.har", *plain)
    assert done.returncode == 1
    assert "it is a WebSocket connection, and the request does not ask for one" in done.stderr
