"""The issue's commands with real mitmdumps: services and HTTP through home and work."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.client
import websockets.sync.server
from tests.support.home_and_works import HomeAndWorks
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.refused_clients import how_refused
from tests.support.waiting import free_port, wait_until

from proxy_policies.reverse_tunnel import certificates

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def origin_server() -> Iterator[Origin]:
    server = Origin()
    yield server
    server.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, origin_server: Origin) -> Iterator[HomeAndWorks]:
    started = HomeAndWorks(tmp_path_factory.mktemp("tunnel"), clients=["wiki"], script="policy.py")
    with socket.socket() as closed:  # bound, so that no other process listens there
        closed.bind(("127.0.0.1", 0))
        started.start_work({"wiki": origin_server.port, "closed": closed.getsockname()[1]})
        yield started
    started.close()


def through(pair: HomeAndWorks, *arguments: str) -> list[str]:
    return ["-x", pair.home.url, *arguments]


def test_a_client_connection(pair: HomeAndWorks, origin_server: Origin, curl: Any) -> None:
    result = curl(f"http://127.0.0.1:{pair.client_listeners['wiki']}/")
    assert (result.status, result.body) == (200, b"hello from the origin\n")


@pytest.mark.parametrize(
    "url",
    ["http://wiki.office.internal/", "http://WIKI.office.internal:8000/", "http://wiki.office.internal:443/"],
)
def test_http_to_a_name_whatever_the_port(pair: HomeAndWorks, origin_server: Origin, curl: Any, url: str) -> None:
    result = curl(*through(pair, url))
    assert (result.status, result.body) == (200, b"hello from the origin\n")
    assert origin_server.requests[-1].get("host") == url.split("/")[2]


def test_connect_to_a_name(pair: HomeAndWorks, origin_server: Origin, curl: Any) -> None:
    result = curl("-p", *through(pair, "http://wiki.office.internal/"))
    assert (result.heads[0].split(" ")[1], result.status) == ("200", 200)


@pytest.mark.parametrize("tunnelled", [(), ("-p",)], ids=["request", "connect"])
def test_the_rate_is_kept_for_names(
    tmp_path: Path, origin_server: Origin, curl: Any, tunnelled: tuple[str, ...]
) -> None:
    origin_server.route("/long", Answer(body=bytes(1_600_000)))
    started = HomeAndWorks(tmp_path)
    started.home.stop()
    started.start_home("--set", "home_limits=rate=400k")
    try:
        started.start_work({"wiki": origin_server.port})
        began = time.monotonic()
        result = curl(*tunnelled, *through(started, "http://wiki.office.internal/long"))
        assert (result.status, len(result.body)) == (200, 1_600_000)
        assert time.monotonic() - began > 1  # four seconds' worth, less a first and a last burst
    finally:
        started.close()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("paris", "connected to home paris"),
        ("lyon", "no connection to home .*: not allowed: the certificate says paris, work_home says lyon"),
    ],
)
def test_a_work_that_wants_one_home(
    pair: HomeAndWorks, mitmdump: Callable[..., Mitmdump], name: str, says: str
) -> None:
    settings = [f"work_home={name}@127.0.0.1:{pair.home_port}", f"work_tls={pair.certificate('work', 'lab')}"]
    work = mitmdump("-n", *(part for s in settings for part in ("--set", s)), script="work.py", wait=False)
    work.wait_log(f"work: {says}")


def test_policies_apply(pair: HomeAndWorks, origin_server: Origin, curl: Any) -> None:
    """Cache and encoding work as for any other origin."""
    body = b"all work and no play " * 1000
    fields = [("Content-Type", "text/plain"), ("Cache-Control", "max-age=60")]
    origin_server.route("/cached", Answer(headers=fields, body=body))
    url = "http://wiki.office.internal/cached"
    first = curl(*through(pair, "--compressed", url))
    asked = len(origin_server.requests)
    second = curl(*through(pair, "--compressed", url))
    assert first.body == second.body == body
    assert second.get("content-encoding") in ("zstd", "br", "gzip")
    assert len(origin_server.requests) == asked
    assert "hit" in (second.get("cache-status") or "")


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("wiki.garage.internal", "no work garage is connected"),
        ("mail.office.internal", "work office offers no mail"),
        ("closed.office.internal", "service refused: 127.0.0.1:"),
    ],
)
@pytest.mark.parametrize("tunnel", [[], ["-p"]], ids=["absolute", "connect"])
def test_502_says_what_is_missing(pair: HomeAndWorks, curl: Any, host: str, says: str, tunnel: list[str]) -> None:
    result = curl(*through(pair, *tunnel, f"http://{host}/"))
    assert result.heads[0].split(" ")[1] == "502"
    assert says in (result.body.decode() or pair.home.log())


def test_a_keep_alive_client_tries_again(pair: HomeAndWorks, origin_server: Origin) -> None:
    """mitmproxy never dials again after a failure; a work that has reconnected must be found."""
    with socket.create_connection(("127.0.0.1", pair.home.port)) as sock, sock.makefile("rb") as file:
        for name, status in (("none.late", 502), ("wiki.late", 502)):
            assert _get(sock, file, name) == status
        pair.start_work({"wiki": origin_server.port}, name="late")
        assert _get(sock, file, "wiki.late") == 200
    pair.works.pop("late").stop()


def _get(sock: socket.socket, file: Any, name: str) -> int:
    sock.sendall(f"GET http://{name}.internal/ HTTP/1.1\r\nHost: {name}.internal\r\n\r\n".encode())
    status = int(file.readline().split()[1])
    length, chunked = 0, False
    while (line := file.readline().strip().lower()) != b"":
        length = int(line.split(b":")[1]) if line.startswith(b"content-length") else length
        chunked = chunked or line == b"transfer-encoding: chunked"
    assert not chunked
    file.read(length)
    return status


@pytest.mark.parametrize("strategy", [[], ["--set", "connection_strategy=lazy"]], ids=["default", "lazy"])
def test_a_reverse_proxy_to_a_name(
    pair: HomeAndWorks, origin_server: Origin, mitmdump: Callable[..., Mitmdump], curl: Any, strategy: list[str]
) -> None:
    """A second home, whose proxy is a reverse proxy to the first's service, and comes before its work."""
    home_port = free_port()
    home = mitmdump(
        *("--set", f"home_listen=127.0.0.1:{home_port}", "--set", "home_tls=none"),
        *strategy,
        mode="reverse:http://wiki.solo.internal",
    )
    early = curl(f"{home.url}/")
    assert early.status == 502
    work = mitmdump(
        *("-n", "--set", f"work_home=127.0.0.1:{home_port}", "--set", "work_tls=none", "--set", "work_name=solo"),
        *("--set", f"work_services=wiki=127.0.0.1:{origin_server.port}"),
        script="work.py",
    )
    work.wait_log("work: connected to home")
    result = curl(f"{home.url}/")
    assert (result.status, result.body) == (200, b"hello from the origin\n")
    assert origin_server.requests[-1].get("host") == "wiki.solo.internal"


def test_socks_to_a_name(mitmdump: Callable[..., Mitmdump], origin_server: Origin, curl: Any) -> None:
    home_port = free_port()
    home = mitmdump("--set", f"home_listen=127.0.0.1:{home_port}", "--set", "home_tls=none", mode="socks5")
    work = mitmdump(
        *("-n", "--set", f"work_home=127.0.0.1:{home_port}", "--set", "work_tls=none"),
        *("--set", f"work_services=wiki=127.0.0.1:{origin_server.port}"),
        script="work.py",
    )
    work.wait_log("work: connected to home")
    result = curl("--socks5-hostname", f"127.0.0.1:{home.port}", "http://wiki.work.internal/")
    assert (result.status, result.body) == (200, b"hello from the origin\n")


def test_no_upstream_proxy_is_asked_for_a_name(
    mitmdump: Callable[..., Mitmdump], origin_server: Origin, curl: Any
) -> None:
    """In upstream mode the name goes through the tunnel, by CONNECT too; what else the client asks goes upstream."""
    home_port, upstream = free_port(), mitmdump("--set", "flow_detail=1")
    home = mitmdump(
        *("--set", f"home_listen=127.0.0.1:{home_port}", "--set", "home_tls=none", "--set", "upstream_auth=me:secret"),
        mode=f"upstream:http://127.0.0.1:{upstream.port}",
    )
    work = mitmdump(
        *("-n", "--set", f"work_home=127.0.0.1:{home_port}", "--set", "work_tls=none"),
        *("--set", f"work_services=wiki=127.0.0.1:{origin_server.port}"),
        script="work.py",
    )
    work.wait_log("work: connected to home")
    inside, outside = "http://wiki.work.internal/inside", f"http://127.0.0.1:{origin_server.port}/outside"
    for _ in range(2):
        assert curl("-x", home.url, "--proxy-user", "me:secret", inside).body == b"hello from the origin\n"
        assert origin_server.requests[-1].target == "/inside"
        assert origin_server.requests[-1].get("proxy-authorization") is None
        assert curl("-x", home.url, inside, outside, inside).code == 0
        assert curl("-p", "-x", home.url, inside).body == b"hello from the origin\n"
    assert curl("-p", "-x", home.url, "http://nowhere.work.internal/").code == 56
    upstream.wait_log(re.escape("/outside"))
    assert "internal" not in upstream.log()


def test_websocket_to_a_name(pair: HomeAndWorks, mitmdump: Callable[..., Mitmdump]) -> None:
    def answer(connection: websockets.sync.server.ServerConnection) -> None:
        for message in connection:
            connection.send(f"you said {message!s}")

    with websockets.sync.server.serve(answer, "127.0.0.1", 0, open_timeout=100) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        pair.start_work({"chat": server.socket.getsockname()[1]}, name="talk")
        uri = "ws://chat.talk.internal/"
        with websockets.sync.client.connect(uri, proxy=pair.home.url, open_timeout=100) as client:
            client.send("hello")
            assert client.recv(timeout=100) == "you said hello"
        pair.works.pop("talk").stop()
        server.shutdown()


def test_work_opens_no_port(pair: HomeAndWorks) -> None:
    listening = subprocess.run(["ss", "-Hlntup"], capture_output=True, text=True, check=True).stdout
    assert f"pid={pair.home.pid}," in listening
    assert f"pid={pair.works['office'].pid}," not in listening


def test_one_log_line_each(pair: HomeAndWorks, curl: Any) -> None:
    curl(f"http://127.0.0.1:{pair.client_listeners['wiki']}/")
    wait_until(lambda: "left wiki:" in pair.home.log())
    assert pair.home.log().count("home: work office connected from 127.0.0.1, offers wiki, closed") == 1
    work = pair.works["office"]
    assert work.log().count("work: connected to home paris at 127.0.0.1:") == 1
    work.wait_log(r"work: 127.0.0.1:\d+ left wiki: \d+ bytes up, \d+ bytes down, ")


def test_one_log_line_for_a_session_that_is_cut(tmp_path: Path) -> None:
    """With the time, as every line; mitmdump would say it a second time, without."""
    started = HomeAndWorks(tmp_path, clients=["mail"])
    try:
        started.start_work({})
        assert how_refused(started.client_listeners["mail"]) == "reset"
        started.home.wait_log("home: refused ")
        started.home.stop()
        lines = [line for line in started.home.log().splitlines() if "service unknown" in line]
        assert len(lines) == 1
        assert "] home: refused 127.0.0.1:" in lines[0]
    finally:
        started.close()


def test_renewed_certificates_are_taken_up_and_connections_live_on(tmp_path: Path, origin_server: Origin) -> None:
    started = HomeAndWorks(tmp_path, clients=["wiki"])
    try:
        work = started.start_work({"wiki": origin_server.port})
        shown = ssl.get_server_certificate(("127.0.0.1", started.home_port))
        for kind, name in (("home", "paris"), ("work", "office")):
            certificates.make(kind, name, started.certificate(kind, name))
        started.home.wait_log("home: the certificate of paris was reloaded", timeout=30)
        work.wait_log("work: the certificate of office was reloaded", timeout=30)
        assert ssl.get_server_certificate(("127.0.0.1", started.home_port)) != shown
        for _ in range(5):  # spares of before, and new data connections
            with urllib.request.urlopen(f"http://127.0.0.1:{started.client_listeners['wiki']}/", timeout=100) as answer:
                assert answer.status == 200
        for process in (started.home, work):  # asked by hand, too: nothing has changed since
            process.process.send_signal(signal.SIGHUP)
            process.wait_log("SIGHUP: certificates read again")
        with urllib.request.urlopen(f"http://127.0.0.1:{started.client_listeners['wiki']}/", timeout=100) as answer:
            assert answer.status == 200
        assert "disconnected" not in started.home.log()
        assert work.log().count("work: connected") == 1
    finally:
        started.close()


def test_half_of_the_options_is_said(mitmdump: Callable[..., Mitmdump]) -> None:
    home = mitmdump("-n", "--set", "home_clients=127.0.0.1:1=ssh", script="home.py")
    home.wait_log("home: home_clients is set but home_listen is not: home does not listen")
    work = mitmdump("-n", "--set", "work_services=ssh=127.0.0.1:22", script="work.py")
    work.wait_log("work: work_services is set and work_home is not: nothing is offered")


def test_work_alone_takes_a_policy_file(mitmdump: Callable[..., Mitmdump], tmp_path: Path) -> None:
    file = tmp_path / "work.yaml"
    file.write_text(f"work_home: 127.0.0.1:{free_port()}\nwork_tls: none\n")
    work = mitmdump("-n", "--set", f"policy_file={file}", script="work.py")
    work.wait_log("work: no connection to home 127.0.0.1:.*: connection refused; trying again")


@pytest.mark.parametrize(("script", "says"), [("home.py", "no work can dial in"), ("work.py", "nothing is offered")])
def test_an_end_that_is_told_nothing_says_what_it_needs(
    mitmdump: Callable[..., Mitmdump], script: str, says: str
) -> None:
    mitmdump("-n", script=script, wait=False).wait_log(says)


XSRF = "00" * 16

MISTAKES = [
    ("home.py", "home_listen=nowhere", "home_listen='nowhere'"),
    ("home.py", "home_clients=9001", "PORT=SERVICE"),
    ("home.py", "home_listen=9000", "proxy-policies certs tunnel home NAME"),
    ("home.py", "home_limits=speed=9", "service=SESSIONS"),
    ("work.py", "work_home=home", "HOST:PORT"),
    ("work.py", "work_home=home.example:9000", "proxy-policies certs tunnel work NAME"),
    ("work.py", "work_services=ssh", "NAME=HOST:PORT"),
    ("work.py", "work_home=home..example:9000", "cannot be a host"),
    ("work.py", f"work_services=ssh={'x' * 64}.example:22", "cannot be a host"),
    ("work.py", "tunnel_heartbeat=often", "duration"),
]


@pytest.mark.parametrize(("script", "setting", "says"), MISTAKES, ids=[setting for _, setting, _ in MISTAKES])
def test_mistakes_end_the_start_with_one_line(
    mitmdump: Callable[..., Mitmdump], tmp_path: Path, script: str, setting: str, says: str
) -> None:
    folder = tmp_path / "none"
    process = mitmdump(
        *("--set", f"home_tls={folder}" if script == "home.py" else f"work_tls={folder}", "--set", setting),
        script=script,
        wait=False,
    )
    assert process.wait_exit() != 0
    lines = [line for line in process.log().splitlines() if says in line]
    assert len(lines) == 1
    assert "Traceback" not in process.log()


def test_a_home_by_name_takes_certificates(mitmdump: Callable[..., Mitmdump]) -> None:
    settings = ["work_home=paris@home.example:9000", "work_tls=none"]
    process = mitmdump("-n", *(part for s in settings for part in ("--set", s)), script="work.py", wait=False)
    assert process.wait_exit() != 0
    process.wait_log(re.escape("work_home names home paris, which takes certificates; work_tls=none"))


def test_a_short_secret_is_refused_and_not_shown(mitmdump: Callable[..., Mitmdump]) -> None:
    settings = ["home_listen=9000", "home_tls=secret", "home_secret=hunter2"]
    process = mitmdump(*(part for s in settings for part in ("--set", s)), script="home.py", wait=False)
    assert process.wait_exit() != 0
    process.wait_log(re.escape("home_tls=secret needs home_secret"))
    assert "hunter2" not in process.log()


def test_in_mitmweb_a_session_is_a_flow(
    mitmdump: Callable[..., Mitmdump], origin_server: Origin, curl: Any, tmp_path: Path
) -> None:
    """The row, its bytes and its end; tunnel.status and tunnel.close; options changed live."""
    home_port, client_listener, web = free_port(), free_port(), free_port()
    home = mitmdump(
        *("--set", f"home_listen=127.0.0.1:{home_port}", "--set", "home_tls=none", "--set", "home_keep=10"),
        *(
            "--set",
            f"home_clients={client_listener}=wiki",
            "--set",
            "web_password=pw",
            "--set",
            "web_open_browser=false",
        ),
        *("--web-port", str(web), "--web-host", "127.0.0.1"),
        program="mitmweb",
    )
    work = mitmdump(
        *("-n", "--set", f"work_home=127.0.0.1:{home_port}", "--set", "work_tls=none"),
        *("--set", f"work_services=wiki=127.0.0.1:{origin_server.port}"),
        script="work.py",
    )
    work.wait_log("work: connected to home")
    home.wait_log("work work connected")

    def ask(path: str, body: Any = None, method: str | None = None) -> Any:
        headers = {"Authorization": "Bearer pw", "Content-Type": "application/json"}
        headers |= {"Cookie": f"_mitmproxy_xsrf={XSRF}", "X-XSRFToken": XSRF}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{web}{path}", data, headers, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=100) as response:
            return json.load(response) if response.headers.get_content_type() == "application/json" else None

    def command(name: str, *arguments: str) -> str:
        return str(ask(f"/commands/{name}", {"arguments": list(arguments)})["value"])

    assert curl(f"http://127.0.0.1:{client_listener}/").status == 200
    (flow,) = wait_until(lambda: [f for f in ask("/flows") if f["type"] == "tcp" and f["client_conn"]["timestamp_end"]])
    assert flow["server_conn"]["address"] == ["wiki", client_listener]
    assert flow["messages_meta"]["contentLength"] > 10, "what the session carried, kept or not"
    kept = ask(f"/flows/{flow['id']}/messages/content/raw.json")
    assert sum(len(message["text"]) for message in kept) == 10
    assert "reverse_tunnel" in flow["comment"] or "bytes up" in flow["comment"]
    assert "work work: wiki" in command("tunnel.status")
    with socket.create_connection(("127.0.0.1", client_listener)) as client:
        wait_until(lambda: "to wiki" in command("tunnel.status"))
        assert command("tunnel.close", "wiki") == "closed 1"
        client.settimeout(100)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
    other = free_port()
    ask("/options", {"home_clients": [f"{other}=wiki"]}, "PUT")
    wait_until(lambda: curl(f"http://127.0.0.1:{other}/").status == 200)
    assert curl(f"http://127.0.0.1:{client_listener}/").code == 7
