"""Comparing secrets without knowing them, by their placeholders: kind, length, and where the same one recurs.

Two responses with different secrets are equal if their secrets have the same kinds and lengths, if a secret that
the recording has in two places (sent and echoed, or set as a cookie and shown in a page) is the same in both, and if
different secrets of one response are different in both; those of two responses may be one, as of two logins at a time.
A value in one response is a secret if the other one has a placeholder at its place.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from proxy_policies.capture.files.temporary_database import SpilledMapping
from proxy_policies.capture.model import Request
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, identity, kind
from proxy_policies.capture.secrets.values import LENGTHS, PLAIN_WORDS, is_partly_masked, is_plain, length_class

PlaceholderPair = tuple[str, str]
"""A recorded placeholder, and the live one in its place."""

_OPAQUE = frozenset(["hex", "token", "text", "word"])
"""Kinds that random values may have by chance: one in a hundred of token_urlsafe(16) has letters only."""
_DIGITS = frozenset(["hex", "digits", "number"])  # one in forty of token_hex(4) has no letter
_NUMBERS = frozenset(["num", "number"])  # in captures of earlier versions, digits in a text have this kind, too
_CERTAIN_LENGTH = 32  # 17 random characters of 64 are all hexadecimal once in 2^33, of 36 once in 2^20
_VARYING = _OPAQUE - {"hex"} | {"jwt"}  # kinds whose lengths differ a little


@dataclass(slots=True)
class SecretPairs:
    """Recorded secrets and the live ones in their place; `count` is the number of places that differ in secrets only.

    `hide(value)` returns the placeholder of a value that was redacted in the other response only.
    """

    hide: Callable[[str], str] | None = None
    count: int = 0
    _live: SpilledMapping = field(default_factory=SpilledMapping)
    _recorded: SpilledMapping = field(default_factory=SpilledMapping)
    _in_response: dict[str, str] = field(default_factory=dict)
    """The recorded secret for each live one of the response that is being compared."""

    def start_response(self) -> None:
        """Begin to compare another response."""
        self._in_response.clear()

    def learn(self, pairs: Iterable[PlaceholderPair]) -> None:
        """Add pairs that are known to belong together: those of a request."""
        for old, new in pairs:
            self._live.put(identity(old), identity(new))
            self._recorded.put(identity(new), old)
            self._in_response.setdefault(identity(new), identity(old))

    def learn_unchanged(self, text: str) -> bool:
        """Learn that the secrets of an unchanged text are unchanged; return False if others have replaced them."""
        found = PLACEHOLDER.findall(text) if "secret_" in text else ()
        if not all(self._fits(secret, secret) for secret in found):
            return False
        self.learn((secret, secret) for secret in found)
        return True

    def restore(self, text: str) -> str:
        """Return a text with recorded placeholders in place of the live ones."""
        return PLACEHOLDER.sub(lambda found: self._recorded.get(identity(found[0])) or found[0], text)

    def are_equal(self, old: str, new: str) -> bool:
        """Return whether two texts are equal, except for secrets of the same kind that replace each other."""
        if "secret_" not in old and "secret_" not in new:
            return old == new
        if not _has_kinds(old):
            return bool(_secret_pattern(old).fullmatch(new))
        old, new = self._redact_like(new, old), self._redact_like(old, new)
        if PLACEHOLDER.sub("", old) != PLACEHOLDER.sub("", new):
            return False
        pairs = list(pairs_of(old, new))
        if not pairs or not _is_one_to_one(pairs) or not all(_are_alike(*pair) and self._fits(*pair) for pair in pairs):
            return False
        self.learn(pairs)
        self.count += sum(identity(one) != identity(other) for one, other in pairs)
        return True

    def _redact_like(self, other: str, text: str) -> str:
        """Return the text with placeholders for values at whose places the other text has placeholders."""
        if self.hide is None or len(PLACEHOLDER.findall(other)) <= len(PLACEHOLDER.findall(text)):
            return text
        found = _secret_pattern(other).fullmatch(text)
        placeholders = PLACEHOLDER.findall(other)
        if found is None or not all(map(self._matches_recorded, found.groups(), placeholders)):
            return text
        pieces = iter(PLACEHOLDER.split(other))
        return next(pieces) + "".join(
            self.hide(value) + piece for value, piece in zip(found.groups(), pieces, strict=True)
        )

    def _matches_recorded(self, value: str, placeholder: str) -> bool:
        """Return whether a value may be a live secret, or is the recorded one, which may be none by today's rules."""
        is_recorded = self.hide is not None and identity(self.hide(value)) == identity(placeholder)
        return is_recorded or _may_be_live(value, placeholder)

    def _fits(self, old: str, new: str) -> bool:
        one, other = identity(old), identity(new)
        return (self._live.get(one) or other) == other and self._in_response.get(other, one) == one


def _is_one_to_one(pairs: list[PlaceholderPair]) -> bool:
    return len(set(pairs)) == len({old for old, _ in pairs}) == len({new for _, new in pairs})


def _has_kinds(text: str) -> bool:
    """Return whether every placeholder has a kind; captures of earlier versions do not, and redacted other values."""
    return all(kind(found) for found in PLACEHOLDER.findall(text))


def _secret_pattern(text: str) -> re.Pattern[str]:
    return re.compile(r"([^\"\s;&<>]*)".join(re.escape(piece) for piece in PLACEHOLDER.split(text)))


def _may_be_live(value: str, placeholder: str) -> bool:
    """Return whether a value may be a secret in the place of this one: of the same length class, and no plain word."""
    is_plain_value = is_plain(value) or is_partly_masked(value) or value.lower() in PLAIN_WORDS
    return not is_plain_value and length_class(value) == int(kind(placeholder)[-3:] or length_class(value))


def pairs_of(old: str, new: str) -> Iterator[PlaceholderPair]:
    """Yield pairs of the placeholders of two texts, in order; none if their numbers differ."""
    one, other = PLACEHOLDER.findall(old), PLACEHOLDER.findall(new)
    if len(one) == len(other):
        yield from zip(one, other, strict=True)


def pairs_in_requests(recorded: Request, sent: Request) -> list[PlaceholderPair]:
    """Return the pairs of a recorded request and of the one sent for it, both redacted."""
    sent_fields = dict(sent.headers)
    texts = [(recorded.url, sent.url), *((value, sent_fields.get(name, "")) for name, value in recorded.headers)]
    texts.append((recorded.body.content.decode("latin-1"), sent.body.content.decode("latin-1")))
    return [pair for old, new in texts if "secret_" in old for pair in pairs_of(old, new)]


def _are_alike(old: str, new: str) -> bool:
    """Return whether one generator may have made two secrets: same kind, and same length (tokens: the next class)."""
    one, other = kind(old), kind(new)
    kinds, lengths = {one[:-3], other[:-3]}, [int(one[-3:]), int(other[-3:])]
    if len(kinds) > 1 and not (kinds <= _DIGITS or kinds <= _NUMBERS):
        hexadecimal = max(int(found[-3:]) for found in (one, other) if found[:-3] == "hex") if "hex" in kinds else 0
        if hexadecimal >= _CERTAIN_LENGTH or not kinds <= _OPAQUE:
            return False
    return abs(_length_class(lengths[0]) - _length_class(lengths[1])) <= bool(kinds & _VARYING)


def _length_class(length: int) -> int:
    return LENGTHS.index(length) if length in LENGTHS else -1
