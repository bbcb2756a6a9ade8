"""What `tunnel.status` answers about work."""

from __future__ import annotations

from typing import Any

from proxy_policies.addresses import format_target
from proxy_policies.log_lines import quantity
from proxy_policies.reverse_tunnel.work.agent import WorkAgent


def status(work: WorkAgent) -> tuple[list[str], dict[str, Any]]:
    """Return a line on the connection to home and on what is offered there, and the same as an object of JSON."""
    config = work.config
    if config.home is None:
        return ["work is not started yet; if that lasts, the log says why"], {"work": None}
    home = format_target(*config.home.address[:2])
    state = f"connected to home {work.home} at {home}" if work.home else f"not connected to home {home}"
    why = f": {work.failure}" if work.failure else ""
    services = ", ".join(config.services) or "nothing"
    data = {
        "name": config.name,
        "home": home,
        "home_name": work.home or None,
        "failure": work.failure or None,
        "services": list(config.services),
        "sessions": work.sessions,
    }
    line = f"work {config.name}: {state}{why}; offers {services}; {quantity(work.sessions, 'session')}"
    return [line], {"work": data}
