"""Tasks with an owner."""

import asyncio

import pytest

from proxy_policies.reverse_tunnel.tasks import Tasks


async def test_one_that_fails_says_so_and_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    tasks, done = Tasks(), list[str]()

    async def fails() -> None:
        raise RuntimeError("a bug")

    async def works() -> None:
        await asyncio.sleep(0)
        done.append("worked")

    failing, working = tasks.spawn(fails()), tasks.spawn(works())
    await asyncio.wait([failing, working])
    await asyncio.sleep(0)
    assert "a bug" in caplog.text
    assert done == ["worked"]


async def test_they_end_with_their_owner() -> None:
    tasks, ended = Tasks(), list[str]()

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    tasks.spawn(endless(), eager=True)
    tasks.spawn(endless(), eager=True)
    await tasks.cancel()
    assert ended == ["ended", "ended"]
