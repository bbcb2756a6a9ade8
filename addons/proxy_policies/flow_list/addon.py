"""The list of flows in mitmweb and the console: shows decisions in a column, and removes the oldest flows."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from typing import Any, cast

from mitmproxy import ctx, optmanager

from proxy_policies.background.tasks import spawn
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.flow_list import flows, slow_browsers
from proxy_policies.flow_list.oldest import oldest, with_comments
from proxy_policies.flow_list.option_errors import OptionErrors
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.log_lines import Throttle
from proxy_policies.options.updates import override
from proxy_policies.settings import Setting

with lazy_imports():
    from mitmproxy.tools.web import app as web_app

logger = logging.getLogger(__name__)

CHECK_INTERVAL = 0.25
"""Seconds between checks of the list's length."""
BATCH_SIZE = 250
"""Flows removed in one turn of the event loop, which takes some 10 ms while a browser shows the list."""
ALL = "all"
SLOW = "a browser does not keep up with mitmweb: it has to load the list of flows again"


def parse_count(text: str) -> int | None:
    """Return the number of flows to keep; None for all. Raise ValueError."""
    if text.strip() == ALL:
        return None
    if not text.strip().isdecimal() or int(text) < 1:
        raise ValueError(f"write a number of flows such as 5000, or {ALL}")
    return int(text)


class FlowList:
    """Bounds the list of flows; does nothing in mitmdump, which keeps none."""

    name = "flow-list"
    fast_paths = NO_OBJECTION
    web_keep_flows = Setting(
        "10000",  # as many as mitmproxy keeps lines of its log
        parse_count,
        "Flows to keep in the list of mitmweb and the console; the oldest unmarked are removed first. all: no limit.",
    )

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._restore: Callable[[], None] | None = None
        self._has_warned = False
        self._browsers: Collection[Any] = ()
        """mitmweb's connections to browsers."""
        self._throttle = Throttle()
        self._undo_sizes: Callable[[], None] | None = None
        self._errors: OptionErrors | None = None
        """Kept here, as mitmproxy's signals have only weak references."""

    def running(self) -> None:
        """Show the column of comments, and start watching the list's length."""
        view: Any = ctx.master.addons.get("view")
        if view is None:
            return
        if "web_columns" in ctx.options and ctx.options.web_columns == ctx.options.default("web_columns"):
            self._restore = override(web_columns=with_comments(ctx.options.web_columns))
        if type(ctx.master).__name__ == "WebMaster":
            self._browsers = web_app.ClientConnection.connections
            self._show_option_errors()
            self._undo_sizes = flows.sizes(web_app).apply()
        self._task = spawn(self._watch(view))

    def _show_option_errors(self) -> None:
        options, broadcast = ctx.options, cast(Any, web_app.ClientConnection.broadcast)
        self._errors = OptionErrors(
            lambda names: optmanager.dump_dicts(options, names),
            lambda described: broadcast(type="options/update", payload=described),
        )
        options.errored.connect(self._errors.rejected)
        options.changed.connect(self._errors.changed)  # after mitmweb, which sends its page the old value

    def done(self) -> None:
        """Restore the columns."""
        if self._task is not None:
            self._task.cancel()
        if self._undo_sizes is not None:
            self._undo_sizes()
        if self._restore is not None and not ctx.master.should_exit.is_set():
            self._restore()

    async def _watch(self, view: Any) -> None:
        while True:
            is_behind = self._remove_oldest(view) == BATCH_SIZE
            slow = slow_browsers.drop_queued(self._browsers)
            if slow and (line := self._throttle.admit(SLOW, time.monotonic())):
                logger.info(line)
            await asyncio.sleep(0 if is_behind else CHECK_INTERVAL)

    def _remove_oldest(self, view: Any) -> int:
        """Remove the oldest flows beyond the limit, at most BATCH_SIZE; return their number."""
        if self.web_keep_flows is None or (excess := view.store_count() - self.web_keep_flows) <= 0:
            return 0
        flows = oldest(view.resolve("@all"), min(excess, BATCH_SIZE))
        for flow in flows:
            view.remove([flow])  # one at a time: for several, it logs their number
        if flows and not self._has_warned:
            self._has_warned = True
            logger.warning(
                f"the list of flows has reached {self.web_keep_flows}: the oldest unmarked ones are removed; "
                f"--set web_keep_flows={ALL} keeps them"
            )
        return len(flows)
