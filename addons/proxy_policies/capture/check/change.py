"""One difference between two responses: its location, and both values.

Locations: `status`, `cache`, `header:NAME`, `cookie:NAME`, `trailer:NAME`, `json:PATH`, `text:LINE`, `body`, `time`,
`error`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from proxy_policies.capture import dynamic_values
from proxy_policies.capture.model import Response


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


def field_location(kind: str, name: str, value: str) -> str:
    """Return the location of a field; `kind` is `header` or `trailer`."""
    if kind == "trailer":
        return f"trailer:{name.lower()}"
    if name.lower() == "set-cookie":
        return f"cookie:{value.partition(';')[0].partition('=')[0].strip()}"
    return "cache" if name.lower() == "cache-status" else f"header:{name.lower()}"


def field_locations(response: Response) -> Iterator[str]:
    """Yield the locations of the fields of a response."""
    for kind, fields in (("header", response.headers), ("trailer", response.trailers)):
        yield from (field_location(kind, name, value) for name, value in fields)


def slower(old: float, new: float, factor: float, min_seconds: float = 0.1) -> list[Change]:
    """Return a change if `new` is at least `factor` times `old`, and `min_seconds` longer; none if `factor` is 0."""
    if factor <= 0 or new < old * factor or new - old < min_seconds:
        return []
    return [Change("time", f"{old * 1000:.0f} ms", f"{new * 1000:.0f} ms")]
