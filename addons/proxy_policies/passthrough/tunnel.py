"""An untouched tunnel: its two ends, and how many bytes it has carried. Pure."""

from dataclasses import dataclass

from proxy_policies.log_lines import quantity

CLIENT, TARGET = "the client", "the target"
"""The names of a tunnel's ends in error messages."""
ENDED_BY_US = "ended by this proxy"


@dataclass(slots=True, eq=False)
class Tunnel:
    """Counts are bytes of payload; times are seconds since the epoch."""

    client: str
    target: str
    why: str
    """Why it is untouched."""
    opened: float
    bytes_up: int = 0
    """From the client to the target."""
    bytes_down: int = 0
    """From the target to the client."""

    def count(self, from_client: bool, size: int) -> None:
        """Count `size` bytes that were relayed."""
        if from_client:
            self.bytes_up += size
        else:
            self.bytes_down += size

    def opening(self) -> str:
        """Return the log line for the opening of the tunnel."""
        return f"tunnel {self.client} → {self.target} opened, {self.why}"

    def closing(self, now: float, error: str = "") -> str:
        """Return the log line for the end of the tunnel; `now` is in seconds since the epoch."""
        seconds = max(0.0, now - self.opened)
        because = f": {error}" if error else ""
        counts = f"{quantity(self.bytes_up, 'byte')} up, {quantity(self.bytes_down, 'byte')} down, {seconds:.1f} s"
        return f"tunnel {self.client} → {self.target} closed, {counts}{because}"
