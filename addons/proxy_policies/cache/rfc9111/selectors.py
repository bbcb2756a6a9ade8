"""What a purge or an invalidation selects, and which pending stores it prevents."""

import re
import secrets
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from proxy_policies.cache.rfc9111.key import normal_authority, normal_url, origin_url_of, url_of, without_own
from proxy_policies.fields import Fields, split_list

MAX_REMEMBERED = 4096
"""Purges remembered individually; older ones count as a purge of everything."""

TAG, URL = "tag:", "url:"


@dataclass(frozen=True, slots=True)
class Selector:
    """Selects stored responses: one key, all variants of a URL, a glob of URLs, or a tag.

    A key matches whatever fields the proxy itself added (`without_own`). A URL is the client's; `origin` matches the
    URL requested from the origin, a glob either of them.
    """

    kind: str
    """`key`, `url`, `origin`, `glob` or `tag`."""
    value: str

    def matches(self, key: str, tags: Collection[str] | None) -> bool:
        """Return whether a stored response is selected; unknown tags (None) count as a match."""
        match self.kind:
            case "key":
                return without_own(key) == self.value
            case "url":
                return url_of(key) == self.value
            case "origin":
                return url_of(key) != origin_url_of(key) == self.value
            case "glob":
                pattern = _glob(self.value)
                return bool(pattern.fullmatch(url_of(key)) or pattern.fullmatch(origin_url_of(key)))
            case _:
                return tags is None or self.value in tags


ALL = Selector("glob", "*")
"""Everything."""


@lru_cache(maxsize=64)
def _glob(text: str) -> re.Pattern[str]:
    """Compile a glob of `*` and `?`; brackets are literal, as in IPv6 addresses."""
    return re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in text), re.DOTALL)


def parse_selector(text: str) -> Selector:
    """Parse `tag:NAME`, a URL, or a glob of URLs (`?` is a wildcard only beside a `*`).

    `url:` before a URL with a `*` says that it is not a glob. Raise ValueError for anything else.
    """
    text = text.strip()
    if text.startswith(TAG):
        if not text[len(TAG) :].strip():
            raise ValueError("write tag:NAME")
        return Selector("tag", _readable(text[len(TAG) :].strip()))
    if "*" in text and not text.startswith(URL):
        return Selector("glob", _normal_glob(text))
    url = normal_url(text.removeprefix(URL))
    if url is None:
        raise ValueError(f"{text!r} is not a URL; write http://host/path, a glob such as *://host/*, or tag:NAME")
    return Selector("url", url)


def _normal_glob(text: str) -> str:
    """Normalise a glob as the URLs of keys: the scheme, the authority, and one character for each byte."""
    text = text.encode("utf-8", "surrogateescape").decode("latin-1")
    scheme, found, rest = text.partition("://")
    if not found:
        return text
    authority, slash, path = rest.partition("/")
    named = authority if "*" in authority else normal_authority(scheme.lower(), authority.encode("latin-1"))
    return f"{scheme.lower()}://{named.lower()}{slash}{path}"


def selectors_of(text: str) -> tuple[Selector, ...]:
    """Parse a user's selection: a URL may be the client's or, in reverse mode, the origin's. Raise ValueError."""
    selector = parse_selector(text)
    return (selector, Selector("origin", selector.value)) if selector.kind == "url" else (selector,)


def tags_of(response: Fields) -> frozenset[str]:
    """Return the origin's tags: Cache-Tag (a list) and Surrogate-Key (words)."""
    listed = [tag for line in response.lines("cache-tag") for tag in split_list(line)]
    words = [tag for line in response.lines("surrogate-key") for tag in line.split()]
    return frozenset(map(_readable, (*listed, *words)))


def _readable(tag: str) -> str:
    """Return a tag in a form that every store accepts: invalid UTF-8 is replaced, so such tags may coincide."""
    return tag if tag.isascii() else tag.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Purges:
    """Recent purges, numbered: a response requested before one must not be stored after it."""

    def __init__(self) -> None:
        self._recent: deque[Selector] = deque(maxlen=MAX_REMEMBERED)
        self.count = secrets.randbits(60)
        """The number of the last purge. It starts at random, so that one of another store is unknown here."""

    def record(self, selector: Selector) -> None:
        """Note a purge."""
        self._recent.append(selector)
        self.count += 1

    def supersedes(self, key: str, tags: Collection[str] | None, since: int) -> bool:
        """Return whether a response requested after purge `since` has been purged since, or may have been."""
        later = self.count - since
        return not 0 <= later <= len(self._recent) or any(
            selector.matches(key, tags) for selector in islice(reversed(self._recent), later)
        )
