"""The addon in the proxies that we start, in a mitmproxy of its own: it says when it is ready, and applies requests."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.options import Options
from mitmproxy.tools.dump import DumpMaster
from tests.support.waiting import PATIENCE

from proxy_policies.capture.runner.control_addon import ControlAddon
from proxy_policies.capture.runner.proxy_process import READY


class Proxy:
    """A running mitmproxy and the folder of its requests."""

    def __init__(self, master: DumpMaster, folder: Path) -> None:
        self.options, self._folder, self._count = master.options, folder, 0

    async def request(self, options: dict[str, Any], *specs: str) -> str:
        """Write a request; return what was wrong with it."""
        self._count += 1
        part = self._folder / "part"
        part.write_text(json.dumps({"options": options, "set": specs}))
        part.rename(self._folder / f"request-{self._count}")
        done = self._folder / f"done-{self._count}"
        async with asyncio.timeout(20 * PATIENCE):
            while not done.exists():  # noqa: ASYNC110 - what the user of the addon does, too
                await asyncio.sleep(0.005)
        return done.read_text()


@pytest.fixture
async def proxy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Proxy]:
    options = Options(listen_host="127.0.0.1", listen_port=0, confdir=str(tmp_path / "conf"))
    master = DumpMaster(options, with_termlog=False, with_dumper=False)
    master.addons.add(ControlAddon())
    options.update(capture_control=str(tmp_path))
    with caplog.at_level(logging.INFO):
        running = asyncio.create_task(master.run())
        yield Proxy(master, tmp_path)
    await master.addons.get("proxyserver").servers.update([])
    master.shutdown()
    await running


async def test_requests_are_applied_once_it_is_ready(proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    assert await proxy.request({"stickycookie": "~u a"}) == ""
    assert [line.rpartition(" ")[0] for line in caplog.messages if READY in line] == [READY]
    assert proxy.options.stickycookie == "~u a"
    assert await proxy.request({"connection_strategy": "lazy"}) == ""
    assert (proxy.options.stickycookie, proxy.options.connection_strategy) == ("~u a", "lazy"), "only what is named"


async def test_specs_are_for_one_request(proxy: Proxy) -> None:
    assert await proxy.request({}, "http2=off", "ignore_hosts=a", "ignore_hosts=b") == ""
    assert (proxy.options.http2, proxy.options.ignore_hosts) == (False, ["a", "b"])
    assert await proxy.request({}) == ""
    assert (proxy.options.http2, proxy.options.ignore_hosts) == (True, [])


WRONG: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    ({"stickycookie": "~"}, (), "~"),
    ({"no_such_option": "x"}, (), "no_such_option"),
    ({}, ("no_such_option=x",), "no_such_option"),
    ({}, ("http2=perhaps",), "http2"),
]


async def test_what_is_wrong_is_answered_and_the_next_is_applied(proxy: Proxy) -> None:
    for number, (options, specs, why) in enumerate(WRONG):
        assert why in await proxy.request(options, *specs)
        assert await proxy.request({"http2": bool(number % 2)}) == ""
        assert proxy.options.http2 is bool(number % 2)
