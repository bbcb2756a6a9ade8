"""Secrets compared without being known: by what their placeholders say, and by where else the same one stands.

Two answers with other secrets say the same when each secret is of the same kind and length, and when one that the
recording has in two places (sent and echoed, set as a cookie and shown in a page) is in both places still one.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from proxy_policies.capture.model import Request
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, identity, kind
from proxy_policies.capture.secrets.values import LENGTHS

Pair = tuple[str, str]
"""A recorded placeholder, and the one that stands in its place now."""

_VARYING = ("jwt", "token", "text", "word")  # kinds whose length differs a little from one to the next


@dataclass(slots=True)
class SecretPairs:
    """Which secret now stands for which one that was recorded; `count` is how many places differ in secrets only."""

    count: int = 0
    _now: dict[str, str] = field(default_factory=dict)

    def learn(self, pairs: Iterable[Pair]) -> None:
        """Take pairs that are known to belong together: those of a request."""
        for old, new in pairs:
            self._now[identity(old)] = identity(new)

    def same(self, old: str, new: str) -> bool:
        """Return whether two texts say the same, but for secrets of the same kind that stand for each other."""
        if "secret_" not in old:
            return old == new
        if not _is_of_now(old):
            return bool(_any_secret(old).fullmatch(new))
        if PLACEHOLDER.sub("", old) != PLACEHOLDER.sub("", new):
            return False
        pairs = list(pairs_of(old, new))
        if not pairs or not all(_alike(*pair) and self._fits(*pair) for pair in pairs):
            return False
        self.learn(pairs)
        self.count += sum(identity(one) != identity(other) for one, other in pairs)
        return True

    def _fits(self, old: str, new: str) -> bool:
        return self._now.get(identity(old), identity(new)) == identity(new)


def _is_of_now(text: str) -> bool:
    """Return whether every placeholder says its kind; a capture of an earlier version took other values for secrets."""
    return all(kind(found) for found in PLACEHOLDER.findall(text))


def _any_secret(text: str) -> re.Pattern[str]:
    return re.compile(r"[^\"\s;&]*".join(re.escape(piece) for piece in PLACEHOLDER.split(text)))


def pairs_of(old: str, new: str) -> Iterator[Pair]:
    """Yield the placeholders of two texts in turn; none when they have not as many."""
    one, other = PLACEHOLDER.findall(old), PLACEHOLDER.findall(new)
    if len(one) == len(other):
        yield from zip(one, other, strict=True)


def pairs_in_requests(recorded: Request, sent: Request) -> list[Pair]:
    """Return the pairs of a recorded request and of what was sent for it, both without secrets."""
    now = dict(sent.headers)
    texts = [(recorded.url, sent.url), *((value, now.get(name, "")) for name, value in recorded.headers)]
    texts.append((recorded.body.content.decode("latin-1"), sent.body.content.decode("latin-1")))
    return [pair for old, new in texts if "secret_" in old for pair in pairs_of(old, new)]


def _alike(old: str, new: str) -> bool:
    """Return whether two secrets are of one kind, and as long; tokens may differ by a class of lengths."""
    one, other = kind(old), kind(new)
    if one[:-3] != other[:-3] or one[:-3] not in _VARYING:
        return one == other
    return abs(_class(one) - _class(other)) <= 1


def _class(text: str) -> int:
    length = int(text[-3:])
    return LENGTHS.index(length) if length in LENGTHS else -1
