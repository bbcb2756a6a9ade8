"""What `tunnel.status` answers about home."""

from __future__ import annotations

import time
from typing import Any

from proxy_policies.addresses import format_target
from proxy_policies.reverse_tunnel.home.connected_works import describe
from proxy_policies.reverse_tunnel.home.server import HomeServer


def status(home: HomeServer) -> tuple[list[str], dict[str, Any]]:
    """Return the connected works and the open sessions, a line for each, and the same as an object of JSON."""
    now, works, sessions = time.time(), list(home.works), list(home.sessions)
    of_works = [
        f"work {work.name}: {describe(work)}; {len(work.spares)} spare, connected {now - work.since:.0f} s"
        for work in works
    ]
    of_sessions = [
        f"session {session.number}: {session.source} to {session.target}, {session.account()}" for session in sessions
    ]
    data = {
        "works": [
            {
                "name": work.name,
                "services": list(work.protocol.services),
                "denied": list(work.protocol.denied),
                "spare_connections": len(work.spares),
                "connected_seconds": round(now - work.since, 1),
            }
            for work in works
        ],
        "sessions": [
            {
                "number": session.number,
                "client": format_target(*session.client[:2]) if session.client else None,
                "service": session.service,
                "work": session.work or None,
                "seconds": round(now - session.started, 1),
                "bytes_from_client": session.counts.up,
                "bytes_to_client": session.counts.down,
            }
            for session in sessions
        ],
    }
    return [*(of_works or ["no work connected"]), *(of_sessions or ["no sessions"])], data
