"""The secrets that were seen, found again wherever else they appear, however they are written there."""

import base64
import html
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus

KNOWN_LIMIT = 256
"""Secrets remembered; the least recently seen is forgotten. Each is looked for in all that comes: it takes time."""
STRIDE = 4
"""Every so many characters a text is looked at: an anchor of a spelling begins there, wherever the spelling does."""
ANCHOR = 5  # characters of an anchor; with STRIDE - 1 more they are the shortest spelling, 8 characters
FEW = 16  # secrets that are quicker to look for one by one
PIECE = 1 << 16  # characters looked through at once
BASE64_LENGTH = 10  # characters of base64 that cannot be there by chance

type Pair = tuple[str, str]
"""A spelling and the placeholder for it."""


class KnownSecrets:
    """Secrets with their placeholders, for one thread at a time."""

    def __init__(self) -> None:
        self._placeholders: OrderedDict[str, str] = OrderedDict()
        self._index: dict[str, set[Pair]] = {}

    def add(self, secret: str, placeholder: str) -> None:
        """Remember a secret."""
        if secret not in self._placeholders:
            self._placeholders[secret] = placeholder
            for pair in _pairs(secret, placeholder):
                for anchor in _anchors(pair[0]):
                    self._index.setdefault(anchor, set()).add(pair)
        self._placeholders.move_to_end(secret)
        while len(self._placeholders) > KNOWN_LIMIT:
            self._forget(*self._placeholders.popitem(last=False))

    def _forget(self, secret: str, placeholder: str) -> None:
        for pair in _pairs(secret, placeholder):
            for anchor in _anchors(pair[0]):
                self._index[anchor].discard(pair)
                if not self._index[anchor]:
                    del self._index[anchor]

    def within(self, texts: Iterable[str]) -> list[Pair]:
        """Return each spelling that is in one of these texts, with its placeholder, the longest first."""
        if not self._placeholders:
            return []
        whole = "\0".join(texts)
        found = {pair for pair in self._candidates(whole) if pair[0] in whole}
        return sorted(found, key=lambda pair: (-len(pair[0]), pair))

    def _candidates(self, whole: str) -> Iterator[Pair]:
        if len(self._placeholders) <= FEW:
            for secret, placeholder in self._placeholders.items():
                yield from _pairs(secret, placeholder)
            return
        for start in range(0, len(whole), PIECE):
            piece = whole[start : start + PIECE + ANCHOR]
            for anchor in self._index.keys() & {piece[at : at + ANCHOR] for at in range(0, len(piece), STRIDE)}:
                yield from self._index[anchor]


def _pairs(secret: str, placeholder: str) -> list[Pair]:
    return [(spelling, placeholder) for spelling in _spellings(secret)]


def _anchors(spelling: str) -> set[str]:
    """Return the anchors of a spelling, of which one begins wherever a text is looked at; a short one's is shorter."""
    return {spelling[at : at + ANCHOR] for at in range(STRIDE)}


def sweep(text: str, found: Iterable[tuple[str, str]]) -> str:
    """Return the text with each of these spellings replaced by its placeholder."""
    for spelling, placeholder in found:
        if spelling in text:
            text = text.replace(spelling, placeholder)
    return text


@lru_cache(KNOWN_LIMIT)
def _spellings(secret: str) -> frozenset[str]:
    """Return a secret as it is, and as URLs, forms, JSON, HTML and base64 write it."""
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
        [piece if not number else piece[:2].lower() + piece[2:] for number, piece in enumerate(text.split("%"))]
    )


def _base64(data: bytes) -> Iterator[str]:
    """Yield what base64 of any text with these octets in it has: it depends on where in three octets they begin."""
    for offset, skipped in enumerate((0, 2, 3)):
        text = base64.b64encode(bytes(offset) + data).decode()
        inner = text[skipped : (offset + len(data)) * 8 // 6]
        if len(inner) >= BASE64_LENGTH:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")
