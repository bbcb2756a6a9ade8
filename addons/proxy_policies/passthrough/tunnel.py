"""An untouched tunnel: between whom it runs, and how much went through it."""

from dataclasses import dataclass

CLIENT, TARGET = "the client", "the target"
"""What the ends of a tunnel are called where it is said by whom it was broken."""
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
        """Take note that `size` bytes went through."""
        if from_client:
            self.bytes_up += size
        else:
            self.bytes_down += size

    def opening(self) -> str:
        """Return the log line of the tunnel's beginning."""
        return f"tunnel {self.client} → {self.target} opened, {self.why}"

    def closing(self, now: float, error: str = "") -> str:
        """Return the log line of the tunnel's end."""
        seconds = max(0.0, now - self.opened)
        because = f": {error}" if error else ""
        counts = f"{self.bytes_up} bytes up, {self.bytes_down} bytes down, {seconds:.1f} s"
        return f"tunnel {self.client} → {self.target} closed, {counts}{because}"
