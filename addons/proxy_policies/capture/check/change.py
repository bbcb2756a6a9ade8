"""One difference between two responses: its location, and both values.

Locations: `status`, `cache`, `header:NAME`, `cookie:NAME`, `trailer:NAME`, `json:PATH`, `text:LINE`, `body`, `time`,
`error`.
"""

from dataclasses import dataclass
from typing import Any

from proxy_policies.capture import dynamic_values


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `old` and `new` are JSON values; None if absent. `kind`: `changed`, `added` or `removed`."""

    location: str
    old: Any = None
    new: Any = None
    kind: str = "changed"

    @property
    def is_dynamic(self) -> bool:
        """Return whether both values are of a kind that differs each time: two UUIDs, or two timestamps.

        1 and 1.0 are one number in JSON (RFC 8259 section 6), though not to every client.
        Two secrets never are: they are in a change only if their kinds or lengths differ, or they are swapped.
        """
        if _same_number(self.old, self.new):
            return True
        if not isinstance(self.old, str | int | float) or isinstance(self.old, str) is not isinstance(self.new, str):
            return False
        if self.location.startswith("text:"):
            return dynamic_values.mask_kinds(str(self.old)) == dynamic_values.mask_kinds(str(self.new))
        return dynamic_values.are_alike(str(self.old), str(self.new)) or dynamic_values.differ_inside(
            str(self.old), str(self.new)
        )


def _same_number(old: Any, new: Any) -> bool:
    """Return whether both are numbers of the same value, however they are written."""
    both = (int, float)
    return type(old) in both and type(new) in both and old == new


def slower(old: float, new: float, factor: float, min_seconds: float = 0.1) -> list[Change]:
    """Return a change if `new` is at least `factor` times `old`, and `min_seconds` longer; none if `factor` is 0."""
    if factor <= 0 or new < old * factor or new - old < min_seconds:
        return []
    return [Change("time", f"{old * 1000:.0f} ms", f"{new * 1000:.0f} ms")]
