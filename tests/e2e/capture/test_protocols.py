"""HTTP/2, WebSocket, pip, and policies under test."""

import base64
import hashlib
import json
import ssl
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import websockets.sync.client
import websockets.sync.server
from tests.support.capture_commands import capture
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin

from proxy_policies.capture.har.reader import open_capture

StartOrigin = Callable[..., Origin]


def test_http2_is_recorded_and_replayed(
    origin: StartOrigin, server_tls: ssl.SSLContext, ca_file: Path, tmp_path: Path
) -> None:
    server = origin(server_tls)
    server.route("/chunks", Answer(200, [("X-A", "1")], [b"one", b"two"]))
    url = f"https://localhost:{server.port}/chunks"
    curl = ("curl", "-sS", "--http2", "-w", " %{http_version}", url)
    trust = ("--set", f"ssl_verify_upstream_trusted_ca={ca_file}", "--set", "http2=true")
    done = capture(tmp_path, "record", *trust, "a.har", "--", *curl)
    assert done.returncode == 0, done.stderr
    (entry,) = open_capture(tmp_path / "a.har")
    assert entry.response.body.content == b"onetwo"
    server.close()
    replayed = capture(tmp_path, "replay", "a.har", "--", *curl)
    assert (replayed.returncode, replayed.stdout.partition(" ")[0]) == (0, "onetwo"), replayed.stderr


def test_websocket_messages_are_recorded(mitmdump: Callable[..., Mitmdump], tmp_path: Path) -> None:
    def echo(connection: websockets.sync.server.ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    path = tmp_path / "a.har"
    with websockets.sync.server.serve(echo, "127.0.0.1", 0, open_timeout=100) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.socket.getsockname()[1]
        proxy = mitmdump("--set", f"capture_file={path}", script="capture.py", mode=f"reverse:http://127.0.0.1:{port}")
        with websockets.sync.client.connect(f"ws://127.0.0.1:{proxy.port}/", proxy=None, open_timeout=100) as client:
            client.send('{"token": "hunter2-Q9xZ"}')
            assert client.recv(timeout=100) == '{"token": "hunter2-Q9xZ"}'
            client.send(b"\x00\xff")
            assert client.recv(timeout=100) == b"\x00\xff"
        proxy.wait_log("WebSocket.*closed|closed.*WebSocket|WebSocket connection")
        assert proxy.stop() == 0
        server.shutdown()
        thread.join(100)
    (entry,) = open_capture(path)
    assert [(message.from_client, message.text) for message in entry.messages] == [
        (True, True),
        (False, True),
        (True, False),
        (False, False),
    ]
    assert entry.messages[2].data == b"\x00\xff"
    assert "hunter2" not in path.read_text()


def a_wheel(folder: Path) -> bytes:
    path = folder / "capture_demo-1.0-py3-none-any.whl"
    files = {
        "capture_demo.py": "ANSWER = 42\n",
        "capture_demo-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: capture-demo\nVersion: 1.0\n",
        "capture_demo-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text)}"
        for name, text in files.items()
    ]
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
        wheel.writestr(
            "capture_demo-1.0.dist-info/RECORD", "\n".join([*lines, "capture_demo-1.0.dist-info/RECORD,,\n"])
        )
    return path.read_bytes()


def test_pip_installs_from_a_recording(origin: StartOrigin, tmp_path: Path) -> None:
    server = origin()
    page = b'<!doctype html><a href="/files/capture_demo-1.0-py3-none-any.whl">capture_demo-1.0-py3-none-any.whl</a>'
    server.route("/simple/capture-demo/", Answer(200, [("Content-Type", "text/html")], page))
    server.route("/files/", Answer(200, [("Content-Type", "application/octet-stream")], a_wheel(tmp_path)))
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-cache-dir", "--no-deps", "--disable-pip-version-check"]
    pip += ["--isolated", "--index-url", f"{server.url}/simple", "capture-demo", "--target"]
    done = capture(tmp_path, "record", "pip.har", "--", *pip, "one")
    assert done.returncode == 0, done.stderr
    server.close()
    done = capture(tmp_path, "replay", "pip.har", "--", *pip, "two")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "two" / "capture_demo.py").read_text() == "ANSWER = 42\n"


def test_a_cache_rule_that_was_added_shows_up(origin: StartOrigin, tmp_path: Path) -> None:
    server = origin()
    twice = (f"{server.url}/a", f"{server.url}/a")
    assert capture(tmp_path, "record", "a.har", "--", "curl", "-sS", *twice).returncode == 0
    report = ("--target", server.url, "--json", "r.json", "--set", "cache_rules=//ttl=60")
    assert capture(tmp_path, "check", "a.har", *report).returncode == 0, "without --with-cache the target is asked"
    done = capture(tmp_path, "check", "a.har", *report, "--with-cache")
    assert done.returncode == 1, done.stdout + done.stderr
    changes = [outcome["changes"] for outcome in json.loads((tmp_path / "r.json").read_text())["outcomes"]]
    assert changes == [
        [],
        [{"location": "cache", "kind": "changed", "old": "from the origin", "new": "from the cache"}],
    ]


def test_a_rate_is_kept(origin: StartOrigin, tmp_path: Path) -> None:
    server = origin()
    assert capture(tmp_path, "record", "a.har", "--", "curl", "-sS", *[f"{server.url}/a"] * 6).returncode == 0
    done = capture(
        tmp_path, "check", "a.har", "--target", server.url, "--rate", "10", "--jobs", "3", "--json", "r.json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "r.json").read_text())["seconds"] >= 0.5


RULES = {
    "rule removed": (["//X-Team/shop"], [], "header:x-team", "removed"),
    "rule added": ([], ["//X-Team/shop"], "header:x-team", "added"),
}


@pytest.mark.parametrize(("before", "after", "place", "kind"), RULES.values(), ids=RULES)
def test_a_change_of_policies_shows_up(
    before: list[str], after: list[str], place: str, kind: str, origin: StartOrigin, tmp_path: Path
) -> None:
    def policy(name: str, rules: list[str]) -> tuple[str, str]:
        (tmp_path / name).write_text(json.dumps({"header_rules": [f"/~s{rule[1:]}" for rule in rules]}))
        return ("--policy", name)

    server = origin()
    done = capture(tmp_path, "record", *policy("one.yaml", before), "a.har", "--", "curl", "-sS", f"{server.url}/a")
    assert done.returncode == 0, done.stderr
    report = ("--target", server.url, "--json", "r.json")
    assert capture(tmp_path, "check", "a.har", *report, *policy("one.yaml", before)).returncode == 0
    done = capture(tmp_path, "check", "a.har", *report, *policy("two.yaml", after))
    assert done.returncode == 1, done.stdout + done.stderr
    (outcome,) = json.loads((tmp_path / "r.json").read_text())["outcomes"]
    assert [(change["location"], change["kind"]) for change in outcome["changes"]] == [(place, kind)]
