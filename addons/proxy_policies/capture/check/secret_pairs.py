"""Secrets compared without being known: by what their placeholders say, and by where else the same one stands.

Two answers with other secrets say the same when each secret is of the same kind and length, and when one that the
recording has in two places (sent and echoed, set as a cookie and shown in a page) is in both places still one.
Both answers decide together what is a secret: what stands where the other one has a placeholder is taken for one.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from proxy_policies.capture.check.spilled_mapping import SpilledMapping
from proxy_policies.capture.model import Request
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, identity, kind
from proxy_policies.capture.secrets.values import LENGTHS, PLAIN_WORDS, is_plain

Pair = tuple[str, str]
"""A recorded placeholder, and the one that stands in its place now."""

_OPAQUE = frozenset(["hex", "token", "text", "word"])
"""Kinds that a generator's values are of by chance: one in a hundred of token_urlsafe(16) has letters only."""
_DIGITS = frozenset(["hex", "number"])  # of token_hex(4) one in forty has no letter
_CERTAIN_LENGTH = 32  # more than 16 characters drawn of 64 are all hexadecimal once in 2^33, drawn of 36 once in 2^20
_VARYING = _OPAQUE - {"hex"} | {"jwt"}  # kinds whose length differs a little from one to the next


@dataclass(slots=True)
class SecretPairs:
    """Which secret now stands for which one that was recorded; `count` is how many places differ in secrets only.

    `hide(secret)` returns the placeholder of what only the other answer's redaction took for one.
    """

    hide: Callable[[str], str] | None = None
    count: int = 0
    _now: SpilledMapping = field(default_factory=SpilledMapping)
    _recorded: SpilledMapping = field(default_factory=SpilledMapping)

    def learn(self, pairs: Iterable[Pair]) -> None:
        """Take pairs that are known to belong together: those of a request."""
        for old, new in pairs:
            self._now.put(identity(old), identity(new))
            self._recorded.put(identity(new), old)

    def keeps(self, text: str) -> bool:
        """Take it that the secrets in a text stand for themselves, as it is the same now; False if others do."""
        found = PLACEHOLDER.findall(text) if "secret_" in text else ()
        if not all(self._fits(secret, secret) for secret in found):
            return False
        self.learn((secret, secret) for secret in found)
        return True

    def restore(self, text: str) -> str:
        """Return the text with the recorded placeholder for each one that stands for it now."""
        return PLACEHOLDER.sub(lambda found: self._recorded.get(identity(found[0])) or found[0], text)

    def same(self, old: str, new: str) -> bool:
        """Return whether two texts say the same, but for secrets of the same kind that stand for each other."""
        if "secret_" not in old and "secret_" not in new:
            return old == new
        if not _is_of_now(old):
            return bool(_any_secret(old).fullmatch(new))
        old, new = self._as(new, old), self._as(old, new)
        if PLACEHOLDER.sub("", old) != PLACEHOLDER.sub("", new):
            return False
        pairs = list(pairs_of(old, new))
        if not pairs or not all(_alike(*pair) and self._fits(*pair) for pair in pairs):
            return False
        self.learn(pairs)
        self.count += sum(identity(one) != identity(other) for one, other in pairs)
        return True

    def _as(self, other: str, text: str) -> str:
        """Return the text with placeholders for what stands in it where the other one has some."""
        if self.hide is None or len(PLACEHOLDER.findall(other)) <= len(PLACEHOLDER.findall(text)):
            return text
        found = _any_secret(other).fullmatch(text)
        if found is None or any(_is_no_secret(value) for value in found.groups()):
            return text
        pieces = iter(PLACEHOLDER.split(other))
        return next(pieces) + "".join(
            self.hide(value) + piece for value, piece in zip(found.groups(), pieces, strict=True)
        )

    def _fits(self, old: str, new: str) -> bool:
        return (self._now.get(identity(old)) or identity(new)) == identity(new)


def _is_of_now(text: str) -> bool:
    """Return whether every placeholder says its kind; a capture of an earlier version took other values for secrets."""
    return all(kind(found) for found in PLACEHOLDER.findall(text))


def _any_secret(text: str) -> re.Pattern[str]:
    return re.compile(r"([^\"\s;&<>]*)".join(re.escape(piece) for piece in PLACEHOLDER.split(text)))


def _is_no_secret(value: str) -> bool:
    return is_plain(value) or value.lower() in PLAIN_WORDS


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
    """Return whether two secrets may be of one generator: of one kind, and as long.

    Tokens may differ by a class of lengths.
    """
    one, other = kind(old), kind(new)
    kinds, lengths = {one[:-3], other[:-3]}, [int(one[-3:]), int(other[-3:])]
    if len(kinds) > 1 and not kinds <= _DIGITS:
        hexadecimal = max(int(found[-3:]) for found in (one, other) if found[:-3] == "hex") if "hex" in kinds else 0
        if hexadecimal >= _CERTAIN_LENGTH or not kinds <= _OPAQUE:
            return False
    return abs(_class(lengths[0]) - _class(lengths[1])) <= bool(kinds & _VARYING)


def _class(length: int) -> int:
    return LENGTHS.index(length) if length in LENGTHS else -1
