"""Cache-Status (RFC 9211)."""

from typing import NamedTuple

NAME = "proxy-policies"
"""How this cache calls itself in Cache-Status."""


class CacheStatus(NamedTuple):
    """How a request was handled: answered from the store (`hit`), or forwarded, and why (`fwd`); else by ourselves."""

    hit: bool = False
    fwd: str = ""
    fwd_status: int | None = None
    ttl: float | None = None
    stored: bool = False
    collapsed: bool | None = None
    """It waited for another request's answer and got that; False: and had to go forward all the same."""
    detail: str = ""

    def __str__(self) -> str:
        """Write the member of the Structured Fields list."""
        parts = (
            NAME,
            "hit" if self.hit else "",
            f"fwd={self.fwd}" if self.fwd else "",
            f"fwd-status={self.fwd_status}" if self.fwd_status is not None else "",
            f"ttl={int(self.ttl)}" if self.ttl is not None else "",
            "stored" if self.stored else "",
            "" if self.collapsed is None else "collapsed" if self.collapsed else "collapsed=?0",
            f"detail={_text(self.detail)}" if self.detail else "",
        )
        return "; ".join(filter(None, parts))


def _text(text: str) -> str:
    is_plain = text.isascii() and text.isprintable()
    printable = text if is_plain else "".join(char if " " <= char <= "~" else "?" for char in text)
    return '"' + printable.replace("\\", "\\\\").replace('"', '\\"') + '"'
