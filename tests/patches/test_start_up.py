"""Who waits for start-up to be over, and gives up meanwhile, is in nobody's way."""

import asyncio

from mitmproxy.addons.errorcheck import ErrorCheck
from mitmproxy.test import taddons

from proxy_policies.patches.start_up import _held, _released


async def test_those_who_wait_go_on_when_it_is_over() -> None:
    served: list[str] = []

    async def handle(client: str) -> None:
        served.append(client)

    check = ErrorCheck()
    with taddons.context(check):
        waiting = [asyncio.ensure_future(_held(handle)(client)) for client in ("one", "two", "three")]
        await asyncio.sleep(0)
        waiting[1].cancel()
        assert served == []
        _released(ErrorCheck.finish)(check)
        await asyncio.wait(waiting)
        assert served == ["one", "three"]
        await _held(handle)("four")
        assert served == ["one", "three", "four"]
