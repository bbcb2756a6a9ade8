"""The counters of all policies, for `proxy-policies stats` and for Prometheus.

A policy with counters has an asynchronous method `statistics`, which returns them by name.
"""

from __future__ import annotations

from collections.abc import Mapping

from mitmproxy import ctx


async def of_policies() -> dict[str, Mapping[str, int]]:
    """Return the counters by the policy's name and their own."""
    counting = {
        name: addon.statistics for name, addon in ctx.master.addons.lookup.items() if hasattr(addon, "statistics")
    }
    return {name: dict(await count()) for name, count in counting.items()}
