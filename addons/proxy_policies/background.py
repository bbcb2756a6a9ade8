"""Hooks that take their time, of which mitmproxy calls some where it cannot wait: when a script is loaded again."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

_tasks: set[asyncio.Future[None]] = set()
"""asyncio itself holds tasks weakly."""


def in_background[P](hook: Callable[[P], Coroutine[Any, Any, None]]) -> Callable[[P], asyncio.Future[None]]:
    """Make a coroutine function a hook that begins at once, and that whoever called it may wait for.

    mitmproxy refuses coroutine functions as `running` and `done` of a script that is loaded again, and neither ends the
    old one nor loads the new one then.
    """

    @functools.wraps(hook)
    def begun(policy: P) -> asyncio.Future[None]:
        return spawn(hook(policy))

    return begun


def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
    """Begin something that is done even if nobody waits for it."""
    under_way = asyncio.ensure_future(work)
    _tasks.add(under_way)
    under_way.add_done_callback(_tasks.discard)
    return under_way
