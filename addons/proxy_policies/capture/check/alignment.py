"""Aligning two sequences with difflib, in bounded time also if some items are very frequent."""

import difflib
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

MAX_PAIRS = 100_000
"""Maximum product of an item's counts in both sequences: difflib repeatedly visits each pair of equal items."""

type Opcode = tuple[str, int, int, int, int]
"""`equal`, `replace`, `delete` or `insert`, with start and end in both. A replaced run may contain equal items."""


def opcodes(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[Opcode]:
    """Return the steps that turn the old sequence into the new one."""
    frequent = _frequent(old, new)
    one, other = (list(_numbered(items, frequent)) if frequent else items for items in (old, new))
    return [(*opcode,) for opcode in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes()]


def _frequent(old: Sequence[Hashable], new: Sequence[Hashable]) -> set[Hashable]:
    before, after = Counter(old), Counter(new)
    return {item for item, count in before.items() if count * after[item] > MAX_PAIRS}


def _numbered(items: Sequence[Hashable], frequent: set[Hashable]) -> Iterator[Hashable]:
    """Yield the items, frequent ones numbered: the first is paired with the first, and so on."""
    counts: Counter[Hashable] = Counter()
    for item in items:
        if item not in frequent:
            yield item
            continue
        yield item, counts[item]
        counts[item] += 1
