"""Estimate whether a text consists of words and numbers, by its length in bits in a code for such texts.

A text of n random characters out of 64 has 6n bits. By Kraft's inequality, at most one in 2^k of these texts has k bits
less in any other code, such as this one. `word_model.txt` has the cost of each letter after each other letter, in half
bits in base 36 (rows: the beginning of a word, a to z; columns: a to z, the end of a word), followed by words, the most
frequent first: from names and texts in programs, web shops, messages in eight languages, countries and cities.
"""

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files

_WORD, _LETTERS, _NUMBER, _END = 1.5, 3.5, 2.7, 3.5
"""Bits of the choice of the next element: a known word, other letters, a number, the end."""
_SEPARATORS = dict.fromkeys("-_", 3.5) | dict.fromkeys("./,", 5.0) | dict.fromkeys("+=~%", 7.0)
_DATE_BITS = 18.0
_DIGIT, _NUMBER_END = math.log2(10) + 0.415, 1.585  # a number continues with probability 3/4
_LOWER, _TITLE, _UPPER = 0.7, 1.7, 3.8  # bits of the case of a word
_RANK = 3.3  # bits in addition to log2(rank): the harmonic sum of all ranks (Zipf's law)
_DATE = re.compile(r"(?:19|20)\d\d-?[01]\d-?[0-3]\d(?!\d)")
_UNIT = re.compile(r"(?P<title>[A-Z][a-z]+)|(?P<upper>[A-Z]+)|(?P<lower>[a-z]+)|(?P<number>[0-9]+)")

type Ends = Iterator[tuple[int, float]]
"""The end indexes of possible elements at an index, each with its bits."""


@lru_cache(1)
def _model() -> tuple[list[list[float]], dict[str, float]]:
    """Return the bits of each letter after each other letter, and of each known word."""
    lines = files(__package__).joinpath("word_model.txt").read_text(encoding="ascii").splitlines()
    letters = [[int(cell, 36) / 2 for cell in row] for row in lines[:27]]
    words = " ".join(lines[27:]).split()
    return letters, {word: math.log2(known_bits) + _RANK for known_bits, word in enumerate(words, 1)}


def is_known_word(text: str) -> bool:
    """Return whether a text is a known word, ignoring case."""
    return text.lower() in _model()[1]


def bits(text: str) -> float:
    """Return the bits of a text; infinite if it has characters that the code cannot express."""
    costs = [math.inf] * (len(text) + 1)
    costs[0] = 0.0
    for at in range(len(text)):
        for end, cost in _ends(text, at) if costs[at] < math.inf else ():
            costs[end] = min(costs[end], costs[at] + cost)
    return costs[-1] + _END


def _ends(text: str, at: int) -> Ends:
    """Yield the ends of the elements that may begin at this index."""
    found = _UNIT.match(text, at)
    if found is None:
        if text[at] in _SEPARATORS:
            yield at + 1, _SEPARATORS[text[at]]
        return
    end = found.end()
    if found["number"]:
        yield end, _NUMBER + _NUMBER_END + _DIGIT * (end - at)
        date = _DATE.match(text, at)
        yield from [(date.end(), _DATE_BITS)] if date else ()
    elif found["title"]:
        yield at + 1, _UPPER + _letter_bits(text[at])
        yield from _words(text, at, end, _TITLE)
    else:
        yield from _words(text, at, end, _LOWER if found["lower"] else _UPPER)


def _words(text: str, at: int, last: int, case_bits: float) -> Ends:
    """Yield the ends, up to `last`, of the words, known or not, that begin at this index."""
    letters, word_bits = _model()
    before, letter_bits = 0, case_bits + _LETTERS
    run = text[at:last].lower()
    for length, letter in enumerate(map(ord, run), 1):
        letter_bits += letters[before][letter - 97]
        before = letter - 96
        known_bits = word_bits.get(run[:length])
        cost = letter_bits + letters[before][26]
        yield at + length, cost if known_bits is None else min(cost, case_bits + _WORD + known_bits)


def _letter_bits(letter: str) -> float:
    row = _model()[0]
    at = ord(letter.lower()) - 97
    return _LETTERS + row[0][at] + row[at + 1][26]
