"""scripts/proxy, from a clone, with another working directory."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.clone import Clone
from tests.support.mitmdump import Running
from tests.support.origin import Origin

Start = Callable[..., Running]


def test_it_forwards_with_every_policy(
    clone: Clone, proxy_script: Start, origin: Callable[..., Origin], curl: Any
) -> None:
    server, proxy = origin(), proxy_script(clone)
    assert curl("-x", proxy.url, f"{server.url}/").status == 200
    assert f"Loading script {clone.root}/addons/policy.py" in proxy.log()


def test_it_is_the_process_that_was_started(clone: Clone, proxy_script: Start) -> None:
    proxy = proxy_script(clone)
    assert "-m\0proxy_policies\0run\0" in Path(f"/proc/{proxy.pid}/cmdline").read_text()
    assert proxy.stop() == 0


def test_it_listens_on_loopback_only(clone: Clone, proxy_script: Start) -> None:
    assert "listening at 127.0.0.1:" in proxy_script(clone).log()


@pytest.mark.parametrize(
    "arguments", [("--listen-host", "127.0.0.2"), ("--set", "listen_host=127.0.0.2")], ids=" ".join
)
def test_the_users_own_address_wins(clone: Clone, proxy_script: Start, arguments: tuple[str, ...]) -> None:
    proxy = proxy_script(clone, *arguments)
    assert "listening at 127.0.0.2:" in proxy.log()
    with socket.create_connection(("127.0.0.2", proxy.port), timeout=100):
        pass


def test_web_runs_mitmweb(clone: Clone, proxy_script: Start) -> None:
    proxy = proxy_script(clone, "--web", "--set", "web_port=0", "--set", "web_open_browser=false")
    proxy.wait_log("Web server listening at")


def test_arguments_arrive_as_they_are(clone: Clone) -> None:
    python = clone.root / ".venv/bin/python"
    python.unlink()
    python.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    python.chmod(0o755)
    given = ["--set", "header_rules=/~u a b/X-Y/some  thing * $HOME", "", "~q & ~s", "-n"]
    for web, command in (([], "run"), (["--web"], "web")):
        done = clone.run("proxy", *given, *web)
        assert done.stdout == "\n".join(["-P", "-m", "proxy_policies", command, *given, ""])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--web", "--workers", "2"), "unrecognized arguments: --workers 2"),
        (("--workers",), "argument --workers: expected one argument"),
        (("--workers", "some"), "argument --workers: 'some' is not a number of 1 or more"),
    ],
    ids=str,
)
def test_workers_takes_a_number_and_no_web(clone: Clone, arguments: tuple[str, ...], complaint: str) -> None:
    done = clone.run("proxy", *arguments)
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].endswith(complaint)


def test_a_wrong_value_ends_it(clone: Clone) -> None:
    done = clone.run("proxy", "--mode", "sideways")
    assert done.returncode == 1


def test_it_greets_with_what_is_on(clone: Clone, proxy_script: Start) -> None:
    proxy = proxy_script(clone, "--set", "header_rules=//X-Foo/bar")
    line = proxy.wait_log(r"policies: .*")[0]
    assert "1 header rule" in line
    assert "compression (zstd, br, gzip)" in line
