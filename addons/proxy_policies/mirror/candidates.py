"""Which live requests are copied, and in what form: a share of the safe ones, without credentials. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from proxy_policies.capture.model import Headers, Request, header

if TYPE_CHECKING:
    from proxy_policies.capture.secrets.redact import Redactor

SAFE = ("GET", "HEAD", "OPTIONS")
"""Safe methods (RFC 9110, section 9.2.1) except TRACE, which returns the request."""
MARK = "X-Mirrored-By"
"""A field of each copy, so that it is not copied again, and the candidate can recognise it."""
CREDENTIALS = ("authorization", "proxy-authorization", "cookie")
_CONDITIONS = ("if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range")


@dataclass(slots=True)
class Share:
    """Selects an even share of requests: for 0.25, every fourth."""

    share: float
    _due: float = 0.0

    def takes(self) -> bool:
        """Return whether the next request is selected."""
        self._due += self.share
        if self._due < 1 - 1e-9:
            return False
        self._due -= 1
        return True


def is_copied(method: str, headers: Headers, methods: Collection[str]) -> bool:
    """Return whether a request may be copied, by its method and fields."""
    return method in methods and header(headers, MARK) is None and header(headers, "upgrade") is None


def without_secret_fields(request: Request, redactor: Redactor) -> Request | None:
    """Return a request without fields that contain secrets; None if its URL or body contains one."""
    clean = redactor.request(request)
    if (clean.url, clean.target, clean.body) != (request.url, request.target, request.body):
        return None
    pairs = zip(request.headers, clean.headers, strict=True)
    return replace(
        request, headers=tuple(pair for pair, shown in pairs if pair == shown and not _is_credential(pair[0]))
    )


def _is_credential(name: str) -> bool:
    return name.lower() in CREDENTIALS


def as_copy(request: Request, pseudonym: str) -> Request:
    """Return the copy of a request: marked, and without the conditions of the client's cache."""
    kept = tuple(pair for pair in request.headers if pair[0].lower() not in _CONDITIONS)
    return replace(request, headers=(*kept, (MARK, pseudonym)))


def parse_share(text: str) -> float:
    """Return a share, 0 to 1. Raise ValueError."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError("write a share from 0 to 1, such as 0.1")
    return share


def parse_target(text: str) -> str:
    """Return the candidate's URL without a slash at its end; "" if the text is empty. Raise ValueError."""
    if not text:
        return ""
    parts = urlsplit(text)
    try:
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("write a URL such as http://127.0.0.1:9001")
    return text.rstrip("/")
