"""Whether mitmproxy is still starting: until it is done, any logged error ends it."""

import asyncio
import logging

from mitmproxy import ctx

POLL = 0.01
"""Seconds between checks whether start-up is over: mitmproxy has no event for it."""


def is_starting() -> bool:
    """Return whether mitmproxy is starting: until it is done, any logged error ends it."""
    watch = ctx.master.addons.get("errorcheck")
    return watch is not None and watch.logger in logging.getLogger().handlers


async def started() -> None:
    """Wait until every `running` hook has finished and logged errors no longer end mitmproxy.

    mitmproxy starts listening before that. A client that connects then would meet addons that are not ready (without a
    certificate store, for example), and a resulting error would end the process.
    """
    while is_starting():  # noqa: ASYNC110
        await asyncio.sleep(POLL)


def start_errors() -> list[str]:
    """Return the errors with which mitmproxy's start will fail, formatted; none if it is over, or fine so far."""
    if not is_starting():
        return []
    watch = ctx.master.addons.get("errorcheck").logger
    return [watch.format(record) for record in watch.has_errored]
