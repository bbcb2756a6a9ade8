"""A script of ours that is edited while mitmdump runs: mitmproxy ends its policies and loads them again."""

import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import ADDONS, Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.waiting import wait_until

Start = Callable[..., Mitmdump]


def loaded(proxy: Mitmdump, policy: Path, times: int) -> bool:
    return proxy.log().count(f"Loading script {policy}") == times


def has(curl: Any, url: str, value: str) -> bool:
    return bool(curl(url).get("x-new") == value)


def is_open(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("fast_lane", ["off", "on", "all"])
def test_every_policy_is_loaded_again(
    mitmdump: Start, origin: Callable[[], Origin], curl: Any, tmp_path: Path, free_port: Any, fast_lane: str
) -> None:
    server, home = origin(), free_port()
    server.route("/", Answer(headers=[("Cache-Control", "max-age=600")], body=b"kept"))
    policy, policies = tmp_path / "mine.py", tmp_path / "policies.yaml"
    text = f"import sys\nsys.path.insert(0, {str(ADDONS)!r})\n" + (ADDONS / "policy.py").read_text()
    policy.write_text(text)
    policies.write_text(f"fast_lane: '{fast_lane}'\n")
    options = (f"policy_file={policies}", f"cache=disk:{tmp_path / 'store'}", f"home_listen=127.0.0.1:{home}")
    settings = [part for option in (*options, "home_tls=none") for part in ("--set", option)]
    proxy = mitmdump("-s", str(policy), *settings, mode=f"reverse:{server.url}", script=None)
    assert curl(f"{proxy.url}/").body == b"kept"
    for times in (2, 3):
        policy.write_text(text + f"# edited for the {times}th time\n")
        wait_until(partial(loaded, proxy, policy, times))
        policies.write_text(f"fast_lane: '{fast_lane}'\nheader_rules: //X-New/{times}\n")
        wait_until(partial(has, curl, proxy.url, str(times)))
        assert "; hit;" in curl(f"{proxy.url}/").get("cache-status")
        wait_until(partial(is_open, home))
    assert len(server.requests) == 1
    assert proxy.stop() == 0
    assert "rror" not in proxy.log()
