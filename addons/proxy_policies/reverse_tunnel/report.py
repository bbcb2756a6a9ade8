"""What `tunnel.status` says."""

from __future__ import annotations

import time

from proxy_policies.reverse_tunnel.home import Home
from proxy_policies.reverse_tunnel.works import describe


def status(home: Home) -> str:
    """Describe works and sessions, a line for each."""
    now = time.time()
    works = [
        f"work {work.name}: {describe(work)}; {len(work.spares)} spare, connected {now - work.since:.0f} s"
        for work in home.works
    ]
    visits = [f"session {visit.number}: {visit.source} to {visit.target}, {visit.account()}" for visit in home.visits]
    return "\n".join([*(works or ["no work connected"]), *(visits or ["no sessions"])])
