"""A replay makes no connection, and looks up no name, except for its clients' connections: seen with strace."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.capture_commands import capture
from tests.support.mitmdump import environment
from tests.support.origin import Origin
from tests.support.programs import need

CONNECT = re.compile(r"connect\(\d+, \{sa_family=AF_INET6?, sin6?_port=htons\((\d+)\)")
URLS = ["http://no-such-name.example/x", "https://no-such-name.example/y", "http://10.255.255.1/z"]


def test_a_replay_neither_dials_nor_asks_for_names(origin: Callable[..., Origin], tmp_path: Path) -> None:
    strace, server = need("strace"), origin()
    done = capture(tmp_path, "record", "a.har", "--", "curl", "-sS", f"{server.url}/a")
    assert done.returncode == 0, done.stderr
    connections = server.connections
    command = [strace, "-f", "-qq", "-e", "trace=connect,sendto", "-o", "trace"]
    urls = " ".join([f"{server.url}/a", f"{server.url}/a", f"{server.url}/b", *URLS])
    script = f"echo $http_proxy; for url in {urls}; do curl -ks --max-time 100 $url; done"
    command += [sys.executable, "-m", "proxy_policies.capture"]
    command += ["replay", "--confdir", "conf", "a.har", "--", "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=tmp_path, env=environment())
    assert done.returncode == 1, done.stderr
    assert done.stdout.count("not recorded; nearest is entry 1") == 4
    assert "recorded once, but requested again" in done.stdout
    proxy_port = done.stdout.splitlines()[0].rpartition(":")[2]
    trace = (tmp_path / "trace").read_text()
    assert set(CONNECT.findall(trace)) == {proxy_port}
    assert "htons(53)" not in trace
    assert server.connections == connections
