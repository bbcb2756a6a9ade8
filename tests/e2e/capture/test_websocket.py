"""WebSocket connections are recorded, replayed without a server, and sent to another build."""

import json
import ssl
import sys
from pathlib import Path

import pytest
import websockets.sync.server
from tests.support.capture_commands import capture
from tests.support.websocket_server import Chat, serving

from proxy_policies.capture.har import writer
from proxy_policies.capture.har.reader import open_capture
from proxy_policies.capture.model import Entry, Request, Response, Times, WebSocketMessage

CLIENT = """
import json, ssl, sys, websockets.sync.client
from websockets.exceptions import ConnectionClosed
url, *said = sys.argv[1:]
trust = ssl.create_default_context() if url.startswith("wss") else None
if trust:
    trust.maximum_version = ssl.TLSVersion.TLSv1_2  # as tests.support.openings.for_two_threads
with websockets.sync.client.connect(url, ssl=trust, open_timeout=100) as client:
    try:
        print(client.recv(timeout=100))
        for text in said:
            client.send(text)
            print(client.recv(timeout=100))
            print(client.recv(timeout=100).hex())
        client.send("enough")
        client.recv(timeout=100)
    except ConnectionClosed as end:
        print(end.rcvd.code, end.rcvd.reason)
"""


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


def test_a_conversation_is_replayed_without_a_server(recorded: tuple[str, Path], tmp_path: Path) -> None:
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


def checked(url: str, tmp_path: Path, live: str, *options: str) -> tuple[int, list[dict[str, object]]]:
    """Check the recording against another build and give the exit code and what changed."""
    origin, target = (text.replace("ws", "http", 1).partition("/chat")[0] for text in (url, live))
    report = tmp_path / "report.json"
    arguments = ("--target", f"{origin}={target}", "--json", str(report), *options)
    done = capture(tmp_path, "check", "chat.har", *arguments)
    assert report.exists(), done.stderr
    (entry,) = json.loads(report.read_text())["outcomes"]
    return done.returncode, entry["changes"]


def test_a_build_that_says_the_same_is_the_same(
    recorded: tuple[str, Path], tmp_path: Path, server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    url, _ = recorded
    chat, trust = Chat(), ("--set", f"ssl_verify_upstream_trusted_ca={ca_file}")
    with serving(chat, server_tls if url.startswith("wss") else None) as live:
        assert checked(url, tmp_path, live, *trust) == (0, [])
    assert chat.heard == ["one", "two", "enough"]


def test_what_a_new_build_says_otherwise_is_found(recorded: tuple[str, Path], tmp_path: Path) -> None:
    url, _ = recorded
    with serving(Chat(greeting="hi", answer="got")) as live:
        code, changes = checked(url, tmp_path, live)
    assert code == 1
    places = {change["location"]: (change["old"], change["new"]) for change in changes}
    assert places.pop("json:$.messages[0].say") == ("welcome", "hi")
    assert places == {
        "json:$.messages[1].heard": ("one", None),
        "json:$.messages[1].got": (None, "one"),
        "json:$.messages[3].heard": ("two", None),
        "json:$.messages[3].got": (None, "two"),
    }


def test_a_server_that_says_too_little_does_not_hang_the_check(recorded: tuple[str, Path], tmp_path: Path) -> None:
    class Curt(Chat):
        def __call__(self, connection: websockets.sync.server.ServerConnection) -> None:
            connection.send(json.dumps({"say": self.greeting}))
            connection.recv()

    url, _ = recorded
    with serving(Curt()) as live:
        code, changes = checked(url, tmp_path, live, "--timeout", "3")
    assert code == 1
    assert {"json:$.messages[1]", "json:$.messages[4]"} <= {change["location"] for change in changes}


def test_a_secret_that_the_client_said_is_carried_over_or_asked_for(tmp_path: Path) -> None:
    secret = '{"token": "hunter2-Q9xZ"}'
    with serving(Chat()) as url:
        assert capture(tmp_path, "record", "chat.har", *client(url, secret)).returncode == 0
    assert "hunter2" not in (tmp_path / "chat.har").read_text()
    origin, chat = url.replace("ws", "http", 1).partition("/chat")[0], Chat()
    with serving(chat) as live:
        target = ("--target", f"{origin}={live.replace('ws', 'http', 1).partition('/chat')[0]}")
        done = capture(tmp_path, "check", "chat.har", *target)
        assert done.returncode == 2
        assert "(json:$.token)" in done.stderr
        (tmp_path / "secrets").write_text("token=hunter2-Q9xZ\n")
        done = capture(tmp_path, "check", "chat.har", *target, "--secrets", str(tmp_path / "secrets"))
        assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(str(chat.heard[0])) == {"token": "hunter2-Q9xZ"}


TIMED = """
import sys, time, websockets.sync.client
began = time.monotonic()
with websockets.sync.client.connect(sys.argv[1], open_timeout=100) as client:
    client.recv(timeout=60)
    if sys.argv[2:]:
        client.send("hurry")
    said = [client.recv(timeout=60), client.recv(timeout=60)]
    print(said[0], said[1], time.monotonic() - began)
"""


def said(text: bytes, when: float, from_client: bool = False) -> WebSocketMessage:
    return WebSocketMessage(from_client, True, text, when)


HOURS = 9999.0  # longer than any test
TALKS = {
    "as it came": ("1", (), True, (said(b"a", 10), said(b"b", 10.5), said(b"c", 13))),
    "at once": ("0", (), False, (said(b"a", 10), said(b"b", 10), said(b"c", HOURS))),
    "a client that does not wait": (
        *("1", ("hurry",), False),
        (said(b"a", 10), said(b"b", HOURS), said(b"hurry", HOURS, from_client=True), said(b"c", HOURS)),
    ),
}


@pytest.mark.parametrize(("speed", "says", "is_slow", "messages"), TALKS.values(), ids=TALKS)
def test_messages_are_sent_as_they_came(
    speed: str, says: tuple[str, ...], is_slow: bool, messages: tuple[WebSocketMessage, ...], tmp_path: Path
) -> None:
    handshake = Response(101, "Switching Protocols", (("Upgrade", "websocket"), ("Connection", "Upgrade")))
    entry = Entry(Request("GET", "http://chat.test/"), handshake, Times(10, 10, 10, 10), messages=messages)
    writer.rewrite(tmp_path / "chat.har", writer.new_log(), [entry])
    client = ("--", sys.executable, "-c", TIMED, "ws://chat.test/", *says)
    done = capture(tmp_path, "replay", "--set", f"replay_speed={speed}", "chat.har", *client, timeout=120)
    *texts, took = done.stdout.split()
    assert (done.returncode, texts) == (0, ["b", "c"]), done.stderr
    assert float(took) > 2.9 or not is_slow
