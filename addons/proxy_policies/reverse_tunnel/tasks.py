"""Tasks with an owner: they live as long as they run, and end with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger(__name__)


class Tasks:
    """The background tasks of one owner. One that fails says so in the log, and harms no other."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any], *, eager: bool = False) -> asyncio.Task[Any]:
        """Start a task; `eager`, it has begun by then, and releases what it holds even if it is cancelled at once."""
        task = asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=eager)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error(f"tunnel: {error!r}", exc_info=error)

    async def cancel(self) -> None:
        """End them all, and wait until they have."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
