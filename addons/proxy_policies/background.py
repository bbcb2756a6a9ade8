"""The one way to begin something that is done even if nobody waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable, Coroutine
from typing import Any

logger = logging.getLogger(__name__)
_tasks: set[asyncio.Task[Any]] = set()
"""asyncio itself holds tasks weakly."""


def spawn[T](
    work: Coroutine[Any, Any, T], *, eager: bool = False, is_held: bool = False, failure: str = ""
) -> asyncio.Task[T]:
    """Begin some work, and return its task, which the caller need not hold; `is_held`, it does.

    `eager`, it has begun by then, and releases what it holds even if it is cancelled at once. `failure` is what the log
    says if it raises; without, it is raised to whoever waits for the task.
    """
    task = asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=eager)
    if failure:
        task.add_done_callback(functools.partial(_report, failure))
    if not is_held and not task.done():
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)
    return task


def _report(failure: str, task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error(failure, exc_info=error)


def in_background[P](hook: Callable[[P], Coroutine[Any, Any, None]]) -> Callable[[P], asyncio.Future[None]]:
    """Make a coroutine function a hook that begins at once, and that whoever called it may wait for.

    mitmproxy refuses coroutine functions as `running` and `done` of a script that is loaded again, and neither ends the
    old one nor loads the new one then.
    """

    @functools.wraps(hook)
    def begun(policy: P) -> asyncio.Future[None]:
        return spawn(hook(policy))

    return begun


def warn_from_thread(log: logging.Logger, prefix: str) -> Callable[[str], None]:
    """Return what a thread calls to have a line logged in the event loop that runs now, as long as that does."""
    loop = asyncio.get_running_loop()

    def warn(text: str) -> None:
        with contextlib.suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(log.warning, prefix + text)

    return warn


class Tasks:
    """The tasks of one owner, which end with it. One that fails is logged, and harms no other."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any], *, eager: bool = False) -> asyncio.Task[Any]:
        """Begin some work, as `spawn` does."""
        task = spawn(work, eager=eager, failure=f"{self._owner}: a task failed")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def cancel(self) -> None:
        """End them all but the one that asks, and wait until they have."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
