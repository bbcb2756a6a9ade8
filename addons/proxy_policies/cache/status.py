"""Cache-Status (RFC 9211), Age and the sentences a trace tells."""

from dataclasses import dataclass

NAME = "proxy-policies"
"""How this cache calls itself in Cache-Status."""


@dataclass(frozen=True, slots=True)
class CacheStatus:
    """How a request was handled."""

    hit: bool = False
    fwd: str = ""
    fwd_status: int | None = None
    ttl: float | None = None
    stored: bool = False
    collapsed: bool = False
    detail: str = ""

    def __str__(self) -> str:
        """Write the member of the Structured Fields list."""
        parts = [NAME]
        parts += ["hit"] if self.hit else []
        parts += [f"fwd={self.fwd}"] if self.fwd else []
        parts += [f"fwd-status={self.fwd_status}"] if self.fwd_status is not None else []
        parts += [f"ttl={int(self.ttl)}"] if self.ttl is not None else []
        parts += ["stored"] if self.stored else []
        parts += ["collapsed"] if self.collapsed else []
        parts += [f"detail={_text(self.detail)}"] if self.detail else []
        return "; ".join(parts)


def _text(text: str) -> str:
    printable = "".join(char if " " <= char <= "~" else "?" for char in text)
    return '"' + printable.replace("\\", "\\\\").replace('"', '\\"') + '"'
