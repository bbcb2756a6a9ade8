"""Tasks that are done even if nobody waits for them."""

import asyncio
import gc
import inspect

from proxy_policies import background


class Policy:
    def __init__(self) -> None:
        self.seen: list[str] = []

    @background.in_background
    async def done(self) -> None:
        """End."""
        await asyncio.sleep(0)
        self.seen.append("done")


async def test_a_hook_is_no_coroutine_function_and_begins_at_once() -> None:
    policy = Policy()
    assert not inspect.iscoroutinefunction(policy.done)
    assert policy.done.__doc__ == "End."
    await policy.done()
    assert policy.seen == ["done"]


async def test_a_task_that_nobody_holds_is_not_collected() -> None:
    over = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0.01)
        over.set()

    background.spawn(work())
    gc.collect()
    async with asyncio.timeout(10):
        await over.wait()
