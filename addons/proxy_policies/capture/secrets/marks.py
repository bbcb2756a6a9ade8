"""Marks: short strings that a text must contain before it is searched with a regular expression.

A single character is found a hundred times as fast as two, and most texts have no `(` or `%`: therefore the rarest
character of a mark is searched for first.
"""

_COMMON = "\"' :,etaoinsrhldcumpfgwybvk0123456789./-_TSACIPEMDRNLOBFHGxWUVYjqzKJXQZ"
"""The most frequent characters of texts in descending order; all others are rarer."""


type Marks = tuple[tuple[str, str], ...]
"""Marks, each after a character of the texts searched for: its own rarest one, or one that is always beside it."""


def compile_marks(*texts: str) -> Marks:
    """Return these texts as marks."""
    return tuple((rarest(text), text) for text in texts)


def has_any(text: str, marks: Marks) -> bool:
    """Return whether a text contains one of these marks."""
    for rarest_character, mark in marks:  # noqa: SIM110 -- a generator takes twice as long
        if rarest_character in text and mark in text:
            return True
    return False


def rarest(mark: str) -> str:
    """Return the rarest character of a mark."""
    return max(mark, key=lambda character: _COMMON.find(character) % (len(_COMMON) + 1))
