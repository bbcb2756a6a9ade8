"""Cache-Status (RFC 9211)."""

from functools import lru_cache
from typing import NamedTuple

from proxy_policies.version import NAME


class CacheStatus(NamedTuple):
    """How a request was handled: from the store (`hit`), forwarded, and why (`fwd`), or else by the proxy itself."""

    hit: bool = False
    fwd: str = ""
    fwd_status: int | None = None
    ttl: float | None = None
    stored: bool = False
    collapsed: bool | None = None
    """True: it got another request's response; False: it waited for one, but was forwarded all the same."""
    detail: str = ""

    def __str__(self) -> str:
        """Return the member of the Structured Fields list."""
        return _member(self if self.ttl is None else self._replace(ttl=int(self.ttl)))


@lru_cache(maxsize=256)
def _member(status: CacheStatus) -> str:
    parts = (
        NAME,
        "hit" if status.hit else "",
        f"fwd={status.fwd}" if status.fwd else "",
        f"fwd-status={status.fwd_status}" if status.fwd_status is not None else "",
        f"ttl={status.ttl}" if status.ttl is not None else "",
        "stored" if status.stored else "",
        "" if status.collapsed is None else "collapsed" if status.collapsed else "collapsed=?0",
        f"detail={_text(status.detail)}" if status.detail else "",
    )
    return "; ".join(filter(None, parts))


def _text(text: str) -> str:
    is_plain = text.isascii() and text.isprintable()
    printable = text if is_plain else "".join(char if " " <= char <= "~" else "?" for char in text)
    return '"' + printable.replace("\\", "\\\\").replace('"', '\\"') + '"'
