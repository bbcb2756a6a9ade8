"""The secrets that were seen, found again wherever else they appear, however they are written there."""

import base64
import html
import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import chain
from string import ascii_letters, digits
from urllib.parse import quote, quote_plus

MAX_SECRETS = 256
"""Secrets remembered; the least recently seen is forgotten. Each is looked for in all that comes: it takes time."""
MAX_SECRET_LENGTH = 8192
"""Characters of a secret that is remembered; a longer one is hidden at its place only. nginx takes so long a field."""
MAX_TOTAL_LENGTH = 1 << 19
"""Characters of all that are remembered: each has some eight spellings."""
STRIDE = 4
"""Every so many characters a text is looked at: an anchor of a spelling begins there, wherever the spelling does."""
ANCHOR_LENGTH = 5  # characters of an anchor; with STRIDE - 1 more they are the shortest spelling, 8 characters
FEW_SPELLINGS = 64  # spellings that are quicker to look for one by one
FEW_SECRETS = FEW_SPELLINGS // 8  # each has seven spellings, or a few more
CHUNK_SIZE = 1 << 16  # characters looked through at once
MIN_BASE64_LENGTH = 10  # characters of base64 that cannot be there by chance
_CLASSES = bytes.maketrans(
    bytes(range(256)),
    bytes(b"0"[0] if chr(octet) in digits else b"a"[0] if chr(octet) in ascii_letters else 0 for octet in range(256)),
)
_BORDER = re.compile(b"0a")
"""A digit before a letter, in a text of such classes: most of what is random has one, and few texts have them often."""
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]+")  # which URLs, forms, JSON and HTML write as they are (RFC 3986)

type Pair = tuple[str, str]
"""A spelling and the placeholder for it."""
type Anchor = str
"""What a text is looked up by: a border of it, or what stands at every fourth place."""


class KnownSecrets:
    """Secrets with their placeholders, for one thread at a time.

    A spelling is found by its first border, where a text has the same, or by anchors when it has none.
    """

    def __init__(self) -> None:
        self._placeholders: OrderedDict[str, str] = OrderedDict()
        self._length = 0  # of all these secrets
        self.generation = 0
        """Changes with each secret that was not known."""
        self._pairs: dict[str, list[Pair]] = {}  # of those that were looked for since they came
        self._by_border: dict[Anchor, set[Pair]] = {}
        self._by_anchor: dict[Anchor, set[Pair]] = {}
        self._without_border: set[Pair] = set()

    def add(self, secret: str, placeholder: str) -> None:
        """Remember a secret, unless it is longer than `LONGEST`."""
        if len(secret) > MAX_SECRET_LENGTH:
            return
        if secret not in self._placeholders:
            self._length += len(secret)
            self.generation += 1
        self._placeholders[secret] = placeholder
        self._placeholders.move_to_end(secret)
        while len(self._placeholders) > MAX_SECRETS or self._length > MAX_TOTAL_LENGTH:
            oldest, _ = self._placeholders.popitem(last=False)
            self._length -= len(oldest)
            for pair in self._pairs.pop(oldest, ()):
                self._remove_from_index(pair)

    def add_older(self, older: "KnownSecrets") -> bool:
        """Remember what was last seen before all that is known here; return whether there is room for still older."""
        for secret, placeholder in reversed(older._placeholders.items()):
            if secret in self._placeholders:
                continue
            if len(self._placeholders) >= MAX_SECRETS or self._length + len(secret) > MAX_TOTAL_LENGTH:
                return False
            self._placeholders[secret] = placeholder
            self._placeholders.move_to_end(secret, last=False)
            self._length += len(secret)
            self.generation += 1
        return len(self._placeholders) < MAX_SECRETS

    def _index_new(self) -> None:
        if len(self._pairs) == len(self._placeholders):
            return
        for secret in self._placeholders.keys() - self._pairs.keys():
            self._pairs[secret] = [(spelling, self._placeholders[secret]) for spelling in _spellings(secret)]
            for pair in self._pairs[secret]:
                self._add_to_index(pair)

    def _add_to_index(self, pair: Pair) -> None:
        if border := _first_border(pair[0]):
            self._by_border.setdefault(border, set()).add(pair)
            return
        self._without_border.add(pair)
        for anchor in _anchors(pair[0]):
            self._by_anchor.setdefault(anchor, set()).add(pair)

    def _remove_from_index(self, pair: Pair) -> None:
        if border := _first_border(pair[0]):
            _discard(self._by_border, border, pair)
            return
        self._without_border.discard(pair)
        for anchor in _anchors(pair[0]):
            _discard(self._by_anchor, anchor, pair)

    def within(self, texts: Iterable[str]) -> list[Pair]:
        """Return each spelling that is in one of these texts, with its placeholder, the longest first."""
        if not self._placeholders:
            return []
        self._index_new()
        joined = "\0".join(texts)
        found = [pair for pair in set(self._candidates(joined)) if pair[0] in joined]  # each is looked for once
        return sorted(found, key=lambda pair: (-len(pair[0]), pair))

    def placeholder_of(self, secret: str) -> str:
        """Return the placeholder of a secret that is known, and was seen once more; empty for any other."""
        placeholder = self._placeholders.get(secret, "")
        if placeholder:
            self._placeholders.move_to_end(secret)
        return placeholder

    def _candidates(self, joined: str) -> Iterator[Pair]:
        if len(self._pairs) <= FEW_SECRETS:
            yield from chain.from_iterable(self._pairs.values())
            return
        for border in self._by_border.keys() & _borders(joined):
            yield from self._by_border[border]
        if len(self._without_border) <= FEW_SPELLINGS:
            yield from self._without_border
            return
        for start in range(0, len(joined), CHUNK_SIZE):
            chunk = joined[start : start + CHUNK_SIZE + ANCHOR_LENGTH]
            for anchor in self._by_anchor.keys() & {
                chunk[at : at + ANCHOR_LENGTH] for at in range(0, len(chunk), STRIDE)
            }:
                yield from self._by_anchor[anchor]


def _borders(text: str) -> set[Anchor]:
    """Return each border of a text with what comes behind it. That octets are looked through is what makes it fast."""
    return {text[found.start() : found.start() + ANCHOR_LENGTH] for found in _BORDER.finditer(_classes(text))}


def _first_border(text: str) -> Anchor:
    """Return the first border of a text with what comes behind it; empty when there is none so far from the end."""
    found = _BORDER.search(_classes(text))
    return text[found.start() :][:ANCHOR_LENGTH] if found and found.start() + ANCHOR_LENGTH <= len(text) else ""


def _classes(text: str) -> bytes:
    return text.encode("latin-1", "replace").translate(_CLASSES)


def _anchors(spelling: str) -> set[Anchor]:
    """Return the anchors of a spelling, of which one begins wherever a text is looked at; a short one's is shorter."""
    return {spelling[at : at + ANCHOR_LENGTH] for at in range(STRIDE)}


def _discard(index: dict[Anchor, set[Pair]], anchor: Anchor, pair: Pair) -> None:
    pairs = index.get(anchor, set())
    pairs.discard(pair)
    if not pairs:
        index.pop(anchor, None)


def sweep(text: str, found: Iterable[tuple[str, str]]) -> str:
    """Return the text with each of these spellings replaced by its placeholder."""
    for spelling, placeholder in found:
        if spelling in text:
            text = text.replace(spelling, placeholder)
    return text


def _spellings(secret: str) -> frozenset[str]:
    """Return a secret as it is, and as URLs, forms, JSON, HTML and base64 write it."""
    if _UNRESERVED.fullmatch(secret):
        return frozenset((secret, *_base64(secret.encode())))
    plain = secret.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    percent = quote(plain, safe="")
    escaped = [json.dumps(plain)[1:-1], json.dumps(plain, ensure_ascii=False)[1:-1]]
    found = {
        *(
            secret,
            plain.encode().decode("latin-1"),
            percent,
            _lower_hex(percent),
            quote_plus(plain),
            quote(plain, safe="/:@!$&'()*+,;="),
        ),
        *(escaped + [text.replace("/", "\\/") for text in escaped]),
        *(html.escape(plain), html.escape(plain, quote=False), html.escape(plain).replace("&#x27;", "&#39;")),
        *_base64(plain.encode()),
    }
    return frozenset(found)


def _lower_hex(text: str) -> str:
    return "%".join(
        [chunk if not number else chunk[:2].lower() + chunk[2:] for number, chunk in enumerate(text.split("%"))]
    )


def _base64(data: bytes) -> Iterator[str]:
    """Yield what base64 of any text with these octets in it has: it depends on where in three octets they begin."""
    for offset, skipped in enumerate((0, 2, 3)):
        text = base64.b64encode(bytes(offset) + data).decode()
        inner = text[skipped : (offset + len(data)) * 8 // 6]
        if len(inner) >= MIN_BASE64_LENGTH:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")
