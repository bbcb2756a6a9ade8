"""Marks in texts: what a text must have before it is looked through for what begins so.

A single character is found a hundred times as fast as two, and most texts have no `(` or `%`: so the rarest character
of a mark is looked for first.
"""

from collections.abc import Iterable
from functools import lru_cache

_COMMON = "\"' :,etaoinsrhldcumpfgwybvk0123456789./-_TSACIPEMDRNLOBFHGxWUVYjqzKJXQZ"
"""Characters of texts, the most frequent first; all others are rarer."""


def has_mark(text: str, mark: str) -> bool:
    """Return whether a mark is in a text."""
    return rarest(mark) in text and mark in text


def has_any(text: str, marks: Iterable[str]) -> bool:
    """Return whether one of these marks is in a text."""
    for mark in marks:  # noqa: SIM110 -- a generator takes twice as long
        if rarest(mark) in text and mark in text:
            return True
    return False


@lru_cache(1024)
def rarest(mark: str) -> str:
    """Return the character of a mark that most texts do not have."""
    return max(mark, key=lambda character: _COMMON.find(character) % (len(_COMMON) + 1))
