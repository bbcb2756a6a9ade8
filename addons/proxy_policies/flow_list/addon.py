"""The list of flows of mitmweb and of the console: says what was decided in a column, and forgets the oldest."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from typing import Any, cast

from mitmproxy import ctx, optmanager

from proxy_policies import settings
from proxy_policies.background import spawn
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.flow_list import slow_browsers
from proxy_policies.flow_list.oldest import oldest, with_comments
from proxy_policies.flow_list.option_errors import OptionErrors
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.log_lines import Throttle
from proxy_policies.settings import Setting

with lazy_imports():
    from mitmproxy.tools.web import app as web_app

logger = logging.getLogger(__name__)

LOOK_EVERY = 0.25
"""Seconds between looks at how long the list is."""
AT_ONCE = 250
"""Flows that are forgotten in one turn of the event loop, which takes some 10 ms with a browser that looks on."""
ALL = "all"
SLOW = "a browser does not keep up with mitmweb: it has to load the list of flows again"


def parse_count(text: str) -> int | None:
    """Read how many flows are kept; None for all of them. Raises ValueError."""
    if text.strip() == ALL:
        return None
    if not text.strip().isdecimal() or int(text) < 1:
        raise ValueError(f"write a number of flows such as 5000, or {ALL}")
    return int(text)


class FlowList:
    """Has nothing to do in mitmdump, which keeps no flows."""

    name = "flow-list"
    fast_paths = NO_OBJECTION
    web_keep_flows = Setting(
        "10000",  # what mitmproxy keeps of its own log
        parse_count,
        "Flows to keep in the list of mitmweb and the console; the oldest unmarked are removed first. all: no limit.",
    )

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._restore: Callable[[], None] | None = None
        self._has_said_so = False
        self._browsers: Collection[Any] = ()
        """mitmweb's connections to them."""
        self._throttle = Throttle()
        self._errors: OptionErrors | None = None
        """To which mitmproxy's signals have weak references."""

    def running(self) -> None:
        """Show the column of comments, and watch how long the list gets."""
        view: Any = ctx.master.addons.get("view")
        if view is None:
            return
        if "web_columns" in ctx.options and ctx.options.web_columns == ctx.options.default("web_columns"):
            self._restore = settings.override(web_columns=with_comments(ctx.options.web_columns))
        if type(ctx.master).__name__ == "WebMaster":
            self._browsers = web_app.ClientConnection.connections
            self._say_what_is_refused()
        self._task = spawn(self._watch(view))

    def _say_what_is_refused(self) -> None:
        options, broadcast = ctx.options, cast(Any, web_app.ClientConnection.broadcast)
        self._errors = OptionErrors(
            lambda names: optmanager.dump_dicts(options, names),
            lambda described: broadcast(type="options/update", payload=described),
        )
        options.errored.connect(self._errors.refused)
        options.changed.connect(self._errors.changed)  # after mitmweb, which tells its page of the old value

    def done(self) -> None:
        """Put the columns back."""
        if self._task is not None:
            self._task.cancel()
        if self._restore is not None and not ctx.master.should_exit.is_set():
            self._restore()

    async def _watch(self, view: Any) -> None:
        while True:
            is_behind = self._forget(view) == AT_ONCE
            slow = slow_browsers.relieve(self._browsers)
            if slow and (line := self._throttle.admit(SLOW, time.monotonic())):
                logger.info(line)
            await asyncio.sleep(0 if is_behind else LOOK_EVERY)

    def _forget(self, view: Any) -> int:
        """Forget the oldest flows that are too many, some at a time; returns how many those were."""
        if self.web_keep_flows is None or (excess := view.store_count() - self.web_keep_flows) <= 0:
            return 0
        flows = oldest(view.resolve("@all"), min(excess, AT_ONCE))
        for flow in flows:
            view.remove([flow])  # one at a time: it logs how many those were that it is given together
        if flows and not self._has_said_so:
            self._has_said_so = True
            logger.warning(
                f"the list of flows is full: the oldest of more than {self.web_keep_flows} go, but for marked ones; "
                f"--set web_keep_flows={ALL} keeps them"
            )
        return len(flows)
