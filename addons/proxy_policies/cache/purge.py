"""What a purge or an invalidation is about, and which stores in flight it beats."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from proxy_policies.cache.key import url_of
from proxy_policies.fields import Fields, split_list

REMEMBERED = 3600.0
"""Seconds that a purge is remembered for: longer than any exchange that may still be under way."""
REMEMBERED_MOST = 4096
"""Purges remembered one by one; beyond, the oldest counts as a purge of everything."""

TAG = "tag:"


@dataclass(frozen=True, slots=True)
class Selector:
    """Which stored responses are meant: one key, all variants of a URL, a glob of URLs, or a tag."""

    kind: str
    """`key`, `url`, `glob` or `tag`."""
    value: str

    def matches(self, key: str, tags: Iterable[str]) -> bool:
        """Say whether a stored response is meant."""
        match self.kind:
            case "key":
                return key == self.value
            case "url":
                return url_of(key) == self.value
            case "glob":
                return fnmatchcase(url_of(key), self.value)
            case _:
                return self.value in tags


def parse_selector(text: str) -> Selector:
    """Read `tag:NAME`, a URL, or a glob of URLs (`*` and `?` in a URL's path count as glob only with a `*`).

    Raises ValueError for anything that is neither.
    """
    text = text.strip()
    if text.startswith(TAG):
        if not text[len(TAG) :].strip():
            raise ValueError("write tag:NAME")
        return Selector("tag", text[len(TAG) :].strip())
    if "*" in text:
        return Selector("glob", text)
    if not text.lower().startswith(("http://", "https://")):
        raise ValueError(f"{text!r} is no URL; write http://host/path, a glob such as *://host/*, or tag:NAME")
    scheme, _, rest = text.partition("://")
    authority, slash, path = rest.partition("/")
    return Selector("url", f"{scheme.lower()}://{authority.lower()}/{path if slash else ''}")


def tags_of(response: Fields) -> frozenset[str]:
    """Read the origin's tags: Cache-Tag (a list) and Surrogate-Key (words)."""
    listed = (tag for line in response.lines("cache-tag") for tag in split_list(line))
    words = (tag for line in response.lines("surrogate-key") for tag in line.split())
    return frozenset((*listed, *words))


class Purges:
    """The purges of late: a response asked for before one must not be stored after it."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, Selector]] = deque()
        self._everything_until = 0.0

    def record(self, selector: Selector, now: float) -> None:
        """Note a purge."""
        while self._recent and self._recent[0][0] < now - REMEMBERED:
            self._recent.popleft()
        if len(self._recent) >= REMEMBERED_MOST:
            self._everything_until = max(self._everything_until, self._recent.popleft()[0])
        self._recent.append((now, selector))

    def beat(self, key: str, tags: Iterable[str], since: float) -> bool:
        """Say whether a response asked for at `since` was purged meanwhile."""
        if since <= self._everything_until:
            return True
        tags = frozenset(tags)
        return any(at >= since and selector.matches(key, tags) for at, selector in reversed(self._recent))
