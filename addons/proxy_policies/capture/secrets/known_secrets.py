"""Find secrets that were seen before wherever else they appear, in any usual encoding."""

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
"""Maximum number of secrets, each searched for in every entry; the least recently seen one is dropped."""
MAX_SECRET_LENGTH = 8192
"""Maximum characters of a known secret, as of a header field in nginx; a longer one is replaced in its place only."""
MAX_TOTAL_LENGTH = 1 << 19
"""Maximum characters of all known secrets; each has about eight spellings."""
STRIDE = 4
"""Characters between the indexes at which a text is searched: at one of them an anchor of each spelling begins."""
ANCHOR_LENGTH = 5  # with STRIDE - 1 more characters, the length of the shortest spelling
FEW_SPELLINGS = 64  # up to this number, searching for each one is faster than an index
FEW_SECRETS = FEW_SPELLINGS // 8  # each has seven or more spellings
CHUNK_SIZE = 1 << 16  # characters searched for anchors at once
MIN_BASE64_LENGTH = 10  # shorter base64 may match by chance
_CLASSES = bytes.maketrans(
    bytes(range(256)),
    bytes(b"0"[0] if chr(byte) in digits else b"a"[0] if chr(byte) in ascii_letters else 0 for byte in range(256)),
)
_BORDER = re.compile(b"0a")
"""A digit before a letter, in a text mapped to classes: frequent in random values, rare in other texts."""
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]+")  # characters unescaped in URLs, forms, JSON and HTML (RFC 3986)

type Spelling = tuple[str, str]
"""A spelling of a secret and its placeholder."""
type Anchor = str
"""A key to find spellings: the characters at a border, or those at every fourth index."""


class KnownSecrets:
    """Secrets with their placeholders, for use by one thread at a time.

    A spelling is found by its first border; if it has none, by its anchors.
    """

    def __init__(self) -> None:
        self._placeholders: OrderedDict[str, str] = OrderedDict()
        self._length = 0  # of all secrets together
        self.generation = 0
        """Incremented with each new secret."""
        self._pairs: dict[str, list[Spelling]] = {}  # by secret, of those in the indexes
        self._by_border: dict[Anchor, set[Spelling]] = {}
        self._by_anchor: dict[Anchor, set[Spelling]] = {}
        self._without_border: set[Spelling] = set()
        self._few: list[Spelling] = []
        """All spellings, if there are so few secrets that each is searched for."""

    def __bool__(self) -> bool:
        return bool(self._placeholders)

    def add(self, secret: str, placeholder: str) -> None:
        """Add a secret, unless it is longer than `MAX_SECRET_LENGTH`."""
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
        """Add secrets that were seen before all these; return whether there is space for still older ones."""
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
        is_few = len(self._pairs) <= FEW_SECRETS
        self._few = list(chain.from_iterable(self._pairs.values())) if is_few else []

    def _add_to_index(self, pair: Spelling) -> None:
        if border := _first_border(pair[0]):
            self._by_border.setdefault(border, set()).add(pair)
            return
        self._without_border.add(pair)
        for anchor in _anchors(pair[0]):
            self._by_anchor.setdefault(anchor, set()).add(pair)

    def _remove_from_index(self, pair: Spelling) -> None:
        if border := _first_border(pair[0]):
            _discard(self._by_border, border, pair)
            return
        self._without_border.discard(pair)
        for anchor in _anchors(pair[0]):
            _discard(self._by_anchor, anchor, pair)

    def within(self, texts: Iterable[str]) -> list[Spelling]:
        """Return each spelling that appears in one of these texts, with its placeholder, the longest first."""
        if not self._placeholders:
            return []
        self._index_new()
        joined = "\0".join(texts)
        found = [pair for pair in self._few or set(self._candidates(joined)) if pair[0] in joined]  # each one once
        return sorted(found, key=lambda pair: (-len(pair[0]), pair)) if found else found

    def placeholder_of(self, secret: str) -> str:
        """Return the placeholder of a known secret and mark it as recently seen; empty for any other text."""
        placeholder = self._placeholders.get(secret, "")
        if placeholder:
            self._placeholders.move_to_end(secret)
        return placeholder

    def _candidates(self, joined: str) -> Iterator[Spelling]:
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
    """Return the characters at each border of a text; searching bytes instead of characters makes this fast."""
    return {text[found.start() : found.start() + ANCHOR_LENGTH] for found in _BORDER.finditer(_classes(text))}


def _first_border(text: str) -> Anchor:
    """Return the characters at the first border of a text; empty without one, or if it is too close to the end."""
    found = _BORDER.search(_classes(text))
    return text[found.start() :][:ANCHOR_LENGTH] if found and found.start() + ANCHOR_LENGTH <= len(text) else ""


def _classes(text: str) -> bytes:
    return text.encode("latin-1", "replace").translate(_CLASSES)


def _anchors(spelling: str) -> set[Anchor]:
    """Return the anchors of a spelling, one for each offset within STRIDE; those of a short spelling are shorter."""
    return {spelling[at : at + ANCHOR_LENGTH] for at in range(STRIDE)}


def _discard(index: dict[Anchor, set[Spelling]], anchor: Anchor, pair: Spelling) -> None:
    pairs = index.get(anchor, set())
    pairs.discard(pair)
    if not pairs:
        index.pop(anchor, None)


def sweep(text: str, found: Iterable[tuple[str, str]]) -> str:
    """Return a text with these spellings replaced by their placeholders."""
    for spelling, placeholder in found:
        if spelling in text:
            text = text.replace(spelling, placeholder)
    return text


def _spellings(secret: str) -> frozenset[str]:
    """Return a secret unchanged and as encoded in URLs, forms, JSON, HTML and base64."""
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
    """Yield the base64 of these bytes within any longer text, for each of their three possible offsets."""
    for offset, skipped in enumerate((0, 2, 3)):
        text = base64.b64encode(bytes(offset) + data).decode()
        inner = text[skipped : (offset + len(data)) * 8 // 6]
        if len(inner) >= MIN_BASE64_LENGTH:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")
