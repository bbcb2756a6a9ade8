"""Purges count in every process that shares a store, however their clocks differ and whatever is under way."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.support.cache_stores import REDIS, redis_server, redis_url
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin, Received
from tests.support.waiting import wait_until

Start = Callable[..., Mitmdump]
Origins = Callable[..., Origin]

SECRET = "0123456789abcdef"
CLOCK = """
import time
from_system = time.time
time.time = lambda: from_system() + {seconds}
"""


@contextlib.contextmanager
def shared_store(kind: str, folder: Path) -> Iterator[str]:
    if kind == "disk":
        yield f"disk:{folder / 'store'}"
        return
    if REDIS is None:
        pytest.skip("needs redis-server")
    with redis_server(folder) as port:
        yield redis_url(port)


class SlowPage:
    """A page that says which version it is; one that was asked for comes when it is let go."""

    def __init__(self, server: Origin) -> None:
        self.version = 1
        self.held: list[threading.Event] = []
        self.is_slow = True
        server.route("/page", self.answer)

    def answer(self, _: Received) -> Answer:
        body = b"version %d" % self.version
        if self.is_slow:
            self.held.append(threading.Event())
            self.held[-1].wait(60)
        return Answer(headers=[("Cache-Control", "max-age=86400"), ("Cache-Tag", "pages")], body=body)


@pytest.mark.parametrize("kind", ["redis", "disk"])
def test_what_is_purged_elsewhere_is_neither_stored_nor_shared(
    kind: str, mitmdump: Start, origin: Origins, curl: Any, tmp_path: Path
) -> None:
    server, ahead = origin(), tmp_path / "clock.py"
    ahead.write_text(CLOCK.format(seconds=5000))
    page = SlowPage(server)
    with shared_store(kind, tmp_path) as store, ThreadPoolExecutor(4) as clients:
        options = ("--set", f"cache={store}", "--set", f"cache_purge={SECRET}")
        early, late = mitmdump("-s", str(ahead), *options), mitmdump(*options)

        def get(proxy: Mitmdump, *more: str) -> Any:
            return curl("-x", proxy.url, *more, f"{server.url}/page")

        for purge in ((), ("-H", "Cache-Tag: pages")):
            page.is_slow, before = True, len(page.held)
            old = clients.submit(get, early)
            wait_until(lambda before=before: len(page.held) == before + 1, 30)  # type: ignore[misc]
            page.version += 1
            assert get(late, "-X", "PURGE", "-H", f"Authorization: Bearer {SECRET}", *purge).status == 200
            new = clients.submit(get, early)  # of the same proxy, where the old one is still under way
            wait_until(lambda before=before: len(page.held) == before + 2, 30)  # type: ignore[misc]
            for held in reversed(page.held[before:]):
                held.set()
            assert (old.result(60).body, new.result(60).body) == (
                b"version %d" % (page.version - 1),
                b"version %d" % page.version,
            )
            page.is_slow = False
            for proxy in (early, late, early, late):
                assert get(proxy).body == b"version %d" % page.version
            assert "; hit" in get(late).get("cache-status")
            assert "; hit" in get(early).get("cache-status")
            curl("-X", "POST", "-d", "x", "-x", late.url, f"{server.url}/page")
        assert "Traceback" not in early.log() + late.log()
