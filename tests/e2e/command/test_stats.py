"""`proxy-policies stats`."""

import re
from collections.abc import Callable
from typing import Any

from tests.support.mitmdump import Mitmdump

from proxy_policies.version import VERSION


def test_it_prints_what_every_policy_has_counted(asked: Any, run: Callable[..., str]) -> None:
    proxy: Mitmdump = asked.proxy
    first, *counts = run("stats").splitlines()
    assert re.fullmatch(
        rf"process {proxy.pid} on 127\.0\.0\.1:{proxy.port}, home, for \d+ s; proxy-policies {re.escape(VERSION)}",
        first,
    )
    found = {tuple(re.split(r"\s{2,}", line)[:2]): int(line.split()[-1]) for line in counts}
    assert found["explain", "cache: stored"] >= 1
    assert found["explain", "proxy: failed"] == 1
    assert found["explain", "cache: hit"] + found["fastlane", "hits"] >= 1
    assert found["cache", "responses"] >= 0
    assert found["home", "sessions"] == 0


def test_it_prints_json(asked: Any, run_json: Callable[..., Any]) -> None:
    (stats,) = run_json("stats", "--port", str(asked.proxy.port))
    assert stats["pid"] == asked.proxy.pid
    assert stats["modes"] == ["regular"]
    assert stats["policies"]["explain"]["flows"] >= 2
