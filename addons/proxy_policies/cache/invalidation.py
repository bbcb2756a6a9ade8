"""What an unsafe request makes invalid (RFC 9111, section 4.4)."""

from urllib.parse import urljoin, urlsplit

from proxy_policies.cache.key import url_of
from proxy_policies.fields import Fields

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "CONNECT"})


def invalidated(method: str, key: str, status: int, response: Fields) -> list[str]:
    """List the keys a response to an unsafe (or unknown) method invalidates: its own, and same-origin locations."""
    if method in SAFE_METHODS or not 200 <= status < 400:
        return []
    url = url_of(key)
    via = key[len(url) :]
    keys = [key]
    for name in ("location", "content-location"):
        for value in response.lines(name)[:1]:
            other = _same_origin(url, value)
            if other:
                keys.append(other + via)
    return list(dict.fromkeys(keys))


def _same_origin(url: str, reference: str) -> str | None:
    try:
        target = urljoin(url, reference).partition("#")[0]
        same = urlsplit(target)[:2] == urlsplit(url)[:2]
    except ValueError:
        return None
    return target if same else None
