"""Tasks that complete even if no caller awaits them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable, Coroutine
from typing import Any

logger = logging.getLogger(__name__)
_tasks: set[asyncio.Task[Any]] = set()
"""asyncio itself holds only weak references to tasks."""


def spawn[T](
    work: Coroutine[Any, Any, T], *, eager: bool = False, is_held: bool = False, failure: str = ""
) -> asyncio.Task[T]:
    """Start a coroutine, and return its task; the caller must keep a reference only with `is_held`.

    With `eager`, it has already started on return, and releases its resources even if cancelled at once. `failure` is
    logged if it raises; without it, the exception is only raised to a task that awaits it.
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
    """Turn a coroutine function into a hook that starts at once, and returns a future that callers may await.

    mitmproxy refuses coroutine functions as `running` and `done` of a script that is reloaded, and then neither ends
    the old one nor loads the new one.
    """

    @functools.wraps(hook)
    def begun(policy: P) -> asyncio.Future[None]:
        return spawn(hook(policy))

    return begun


def warn_from_thread(log: logging.Logger, prefix: str) -> Callable[[str], None]:
    """Return a function with which a thread logs a warning in the current event loop while that is running."""
    loop = asyncio.get_running_loop()

    def warn(text: str) -> None:
        with contextlib.suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(log.warning, prefix + text)

    return warn


class Tasks:
    """The tasks of one owner, which end with it. A failed one is logged, and does not affect the others."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any], *, eager: bool = False) -> asyncio.Task[Any]:
        """Start a coroutine, as `spawn` does."""
        task = spawn(work, eager=eager, failure=f"{self._owner}: a task failed")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def cancel(self) -> None:
        """Cancel all but the calling task, and wait until they have ended."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
