"""Background tasks are completed without being awaited."""

import ast
import asyncio
import gc
import inspect
from pathlib import Path

import pytest

from proxy_policies.background import tasks
from proxy_policies.background.tasks import Tasks, in_background, spawn


class Policy:
    def __init__(self) -> None:
        self.seen: list[str] = []

    @in_background
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


async def test_a_task_without_references_is_not_collected() -> None:
    over = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0.01)
        over.set()

    spawn(work())
    gc.collect()
    async with asyncio.timeout(100):
        await over.wait()


async def test_one_that_fails_says_so_and_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    group, done = Tasks("home"), list[str]()

    async def fails() -> None:
        raise RuntimeError("a bug")

    async def works() -> None:
        await asyncio.sleep(0)
        done.append("worked")

    failing, working = group.spawn(fails()), group.spawn(works())
    await asyncio.wait([failing, working])
    await asyncio.sleep(0)
    assert "home: a task failed" in caplog.text
    assert "a bug" in caplog.text
    assert done == ["worked"]


async def test_they_end_with_their_owner() -> None:
    group, ended = Tasks("home"), list[str]()

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    group.spawn(endless(), eager=True)
    group.spawn(endless(), eager=True)
    await group.cancel()
    assert ended == ["ended", "ended"]


MAKERS = {"create_task", "Task", "TaskGroup"}


def test_no_other_module_creates_tasks() -> None:
    """asyncio holds them weakly, and forgets what they raise."""
    package = Path(tasks.__file__).parents[1]
    found = [
        f"{path.relative_to(package)}:{node.lineno}"
        for path in package.rglob("*.py")
        if path != Path(tasks.__file__)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MAKERS
    ]
    assert not found
