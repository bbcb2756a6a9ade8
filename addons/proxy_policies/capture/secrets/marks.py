"""Marks: short strings that a text must contain before it is searched with a regular expression.

A single character is found a hundred times as fast as two, and most texts have no `(` or `%`: therefore the rarest
character of a mark is searched for first.
"""

from collections.abc import Iterable
from functools import lru_cache

_COMMON = "\"' :,etaoinsrhldcumpfgwybvk0123456789./-_TSACIPEMDRNLOBFHGxWUVYjqzKJXQZ"
"""The most frequent characters of texts in descending order; all others are rarer."""


def has_mark(text: str, mark: str) -> bool:
    """Return whether a text contains a mark."""
    return rarest(mark) in text and mark in text


def has_any(text: str, marks: Iterable[str]) -> bool:
    """Return whether a text contains one of these marks."""
    for mark in marks:  # noqa: SIM110 -- a generator takes twice as long
        if rarest(mark) in text and mark in text:
            return True
    return False


@lru_cache(1024)
def rarest(mark: str) -> str:
    """Return the rarest character of a mark."""
    return max(mark, key=lambda character: _COMMON.find(character) % (len(_COMMON) + 1))
