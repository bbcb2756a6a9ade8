"""Waiting until mitmproxy has started."""

import asyncio

from mitmproxy.addons.errorcheck import ErrorCheck
from mitmproxy.test import taddons

from proxy_policies.start_up.starting import started


async def test_those_who_wait_go_on_when_it_is_over() -> None:
    served: list[str] = []

    async def serve(client: str) -> None:
        await started()
        served.append(client)

    check = ErrorCheck()
    with taddons.context(check):
        waiting = [asyncio.ensure_future(serve(client)) for client in ("one", "two", "three")]
        await asyncio.sleep(0.05)
        waiting[1].cancel()
        assert served == []
        check.finish()
        await asyncio.wait(waiting)
        assert sorted(served) == ["one", "three"]  # in any order: each looks for itself
