"""The answer of `tunnel.status`."""

from __future__ import annotations

import time

from proxy_policies.reverse_tunnel.home.connected_works import describe
from proxy_policies.reverse_tunnel.home.home import Home


def status(home: Home) -> list[str]:
    """Return a line for each work and each session."""
    now = time.time()
    works = [
        f"work {work.name}: {describe(work)}; {len(work.spares)} spare, connected {now - work.since:.0f} s"
        for work in home.works
    ]
    sessions = [
        f"session {session.number}: {session.source} to {session.target}, {session.account()}"
        for session in home.sessions
    ]
    return [*(works or ["no work connected"]), *(sessions or ["no sessions"])]
