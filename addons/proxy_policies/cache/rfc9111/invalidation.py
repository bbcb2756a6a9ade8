"""Invalidation by unsafe requests (RFC 9111, section 4.4)."""

from urllib.parse import urljoin

from proxy_policies.cache.rfc9111.key import normal_url, origin_url_of, url_of, without_own
from proxy_policies.fields import Fields

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "QUERY", "REPORT", "SEARCH"})
"""Those of the IANA HTTP Method Registry, and CONNECT, which does not act on a resource."""


def invalidated(method: str, key: str, status: int, response: Fields) -> list[str]:
    """Return the keys that a response to an unsafe (or unknown) method invalidates: its own and same-origin locations.

    In the form that a `Selector` takes: a request that changes a resource may differ from those that read it in the
    fields that the proxy adds (`X-HTTP-Method`, a rule's field).
    """
    if method in SAFE_METHODS or not 200 <= status < 400:
        return []
    key = without_own(key)
    url = url_of(key)
    asked = key[len(url) :]
    keys = [key]
    for name in ("location", "content-location"):
        for value in response.lines(name)[:1]:
            other = _same_origin(url, origin_url_of(key), value)
            if other:
                keys.append(other + asked)
    return list(dict.fromkeys(keys))


def _same_origin(url: str, origin_url: str, reference: str) -> str | None:
    """Resolve a location as the client's URL; one with the origin's own authority becomes the client's, too."""
    try:
        target = normal_url(urljoin(url, reference))
    except ValueError:
        return None
    for base in (url, origin_url):
        if target is not None and _origin(target) == _origin(base):
            return _origin(url) + target[len(_origin(base)) :]
    return None


def _origin(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return scheme + separator + rest.partition("/")[0]
