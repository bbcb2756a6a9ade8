"""What every policy has counted: one answer for `proxy-policies stats` and for Prometheus.

A policy that counts has an asynchronous `statistics`, which returns numbers by what they are of.
"""

from __future__ import annotations

from collections.abc import Mapping

from mitmproxy import ctx


async def of_policies() -> dict[str, Mapping[str, int]]:
    """Return it by the policy's name."""
    counting = {
        name: addon.statistics for name, addon in ctx.master.addons.lookup.items() if hasattr(addon, "statistics")
    }
    return {name: dict(await count()) for name, count in counting.items()}
