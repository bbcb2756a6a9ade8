"""The access log's options: where it goes, that it goes on in a new file, and who may read it."""

import os
import re
import signal
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.access_lines import AccessLines
from tests.support.curl import curl
from tests.support.h2_client import H2Client
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.waiting import free_port, wait_until

from proxy_policies.control.client import instances

Start = Callable[..., Mitmdump]


def test_a_file_that_is_moved_away(mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path) -> None:
    path, moved, running = tmp_path / "log", tmp_path / "log.1", origin()
    proxy = mitmdump("--set", f"access_log={path}")
    before, after = AccessLines(path), AccessLines(path)
    curl("-x", proxy.url, running.url + "/before")
    assert before.one()["status"] == 200
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.rename(moved)
    os.kill(proxy.pid, signal.SIGHUP)
    wait_until(path.exists)
    curl("-x", proxy.url, running.url + "/after")
    assert after.one()["request"].split()[1].endswith("/after")
    (one,) = instances([proxy.confdir])
    assert one.ask("stats")["policies"]["access_log"] == {"lines": 2, "lost": 0}
    curl("-x", proxy.url, running.url + "/last")
    assert proxy.stop() == 0
    assert len(path.read_text().splitlines()) == 2, "what waits is written when the proxy ends"
    assert len(moved.read_text().splitlines()) == 1


def test_combined_on_standard_output_with_the_user(mitmdump: Start, origin: Callable[..., Origin]) -> None:
    running = origin()
    running.route("/", Answer(headers=[("Cache-Control", "max-age=1000")], body=b"12345"))
    options = ("access_log=-", "access_log_format=combined", "proxyauth=any", "flow_detail=0")
    proxy = mitmdump(*(part for option in options for part in ("--set", option)))
    for status in (200, 407):
        user = ("-U", "ann:hunter22") if status == 200 else ()
        assert curl("-x", proxy.url, *user, "-e", "http://from/", running.url + "/").status == status
    asked, at = re.escape(f'"GET {running.url}/ HTTP/1.1" '), r" \[\d\d/\w{3}/\d{4}:[\d:]{8} [+-]\d{4}\] "
    proxy.wait_log(rf'(?m)^127\.0\.0\.1 - ann{at}{asked}200 5 "http://from/" "curl/')
    proxy.wait_log(rf"(?m)^127\.0\.0\.1 - -{at}{asked}407 ")
    assert "hunter22" not in proxy.log()


def test_the_script_alone_in_reverse_mode(mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path) -> None:
    running, path = origin(), tmp_path / "log"
    proxy = mitmdump("--set", f"access_log={path}", script="access_log.py", mode=f"reverse:{running.url}")
    curl(proxy.url + "/x")
    lines = AccessLines(path)
    line = lines.one()
    assert (line["request"], line["host"]) == ("GET /x HTTP/1.1", f"127.0.0.1:{proxy.port}")
    client = H2Client(proxy.port)
    head = [(b":method", b"GET"), (b":path", b"/y"), (b":scheme", b"https"), (b":authority", b"name")]
    assert client.ask(head).status == 200
    line = lines.one()
    client.close()
    assert (line["request"], line["host"]) == ("GET https://name/y HTTP/2.0", "name")
    assert (line["status"], line["bytes"]) == (200, len(b"hello from the origin\n"))


@pytest.mark.parametrize("lane", ["on", "off"])
def test_behind_socks(mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path, lane: str) -> None:
    running, untouched, path, gone = origin(), origin(), tmp_path / "log", free_port()
    options = ("--set", f"inspect_hosts=127.0.0.1:{running.port}", "--set", f"access_log={path}")
    proxy = mitmdump(*options, "--set", f"fast_lane={lane}", "--set", "proxyauth=any", mode="socks5")
    lines, socks = AccessLines(path), ("--proxy-user", "ann:secret", "--socks5", f"127.0.0.1:{proxy.port}")
    assert curl(*socks, f"http://127.0.0.1:{gone}/").code == 97
    line = lines.one()
    assert line["user"] == "ann"
    assert (line["type"], line["request"], line["status"]) == ("tunnel", f"CONNECT 127.0.0.1:{gone}", 502)
    assert "refused" in line["error"]
    assert curl(*socks, running.url + "/x").status == 200
    line = lines.one()
    assert (line["type"], line["status"], line["host"]) == ("request", 200, f"127.0.0.1:{running.port}")
    assert line["user"] == "ann"
    assert curl(*socks, untouched.url + "/x").status == 200
    line = lines.one()
    assert (line["type"], line["user"], line["upstream"]) == ("tunnel", "ann", f"127.0.0.1:{untouched.port}")


@pytest.mark.parametrize("lane", ["on", "off"])
def test_what_is_under_way_when_the_proxy_ends(
    mitmdump: Start, origin: Callable[..., Origin], tmp_path: Path, lane: str
) -> None:
    running, path = origin(), tmp_path / "log"
    go_on = threading.Event()

    def body() -> Iterator[bytes]:
        yield b"begun"
        go_on.wait(60)

    running.route("/slow", lambda _: Answer(headers=[("Content-Type", "text/event-stream")], body=body()))
    proxy = mitmdump("--set", f"access_log={path}", "--set", "grace_period=100ms", "--set", f"fast_lane={lane}")
    with (
        socket.create_connection(("127.0.0.1", proxy.port)) as tunnel,
        socket.create_connection(("127.0.0.1", proxy.port)) as client,
    ):
        tunnel.sendall(f"CONNECT 127.0.0.1:{running.port} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert tunnel.recv(100).startswith(b"HTTP/1.1 200 ")
        for side, target in ((tunnel, "/in-tunnel"), (client, f"{running.url}/slow")):
            side.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\n\r\n".encode())
            received = b""
            while not received.endswith((b"begun\r\n", b"origin\n")):
                received += side.recv(1000)
        assert proxy.stop() == 0
    go_on.set()
    request, stream = sorted(AccessLines(path).take(2), key=lambda line: str(line["type"]))
    assert (request["status"], request["bytes"], request["error"]) == (200, 5, "the proxy has ended")
    assert (stream["request"].split()[0], stream["error"]) == ("CONNECT", "the proxy has ended")
    assert stream["bytes"] > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("access_log={}/missing/log",), "option access_log='{}/missing/log': No such file or directory"),
        (("access_log={}",), "option access_log='{}': Is a directory"),
        (("access_log=-", "access_log_format=xml"), "option access_log_format='xml': choose one of json, combined"),
    ],
)
def test_what_cannot_be(mitmdump: Start, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    arguments = [part for option in options for part in ("--set", option.format(tmp_path))]
    proxy = mitmdump(*arguments, wait=False)
    assert proxy.wait_exit() == 1
    proxy.wait_log(re.escape(said.format(tmp_path)))
    assert "Traceback" not in proxy.log()
