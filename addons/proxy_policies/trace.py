"""The decisions of each policy about a flow, and their reasons.

Notes are plain data in `flow.metadata`, so they are saved with the flow, and can be shown later.
"""

from typing import Any

from mitmproxy.flow import Flow

KEY = "policy_trace"
LIMIT = 64
"""Notes kept for one flow; one with more is in a loop."""

Note = dict[str, Any]
"""`policy`, `verdict`, `why`, and further facts that the policy chooses; JSON values only."""


def note(flow: Flow, policy: str, verdict: str, why: str = "", **facts: str | int | float | bool | None) -> None:
    """Record a decision. Never pass a secret: notes are shown, saved and captured."""
    noted = flow.metadata.setdefault(KEY, [])
    if len(noted) < LIMIT:
        noted.append({"policy": policy, "verdict": verdict, "why": why, **facts})


def restart(flow: Flow) -> None:
    """Delete the decisions about a flow: it is sent again, and they will be made again."""
    flow.metadata.pop(KEY, None)


def notes(flow: Flow) -> list[Note]:
    """Return the decisions about a flow, oldest first."""
    noted: list[Note] = flow.metadata.get(KEY, [])
    return noted
