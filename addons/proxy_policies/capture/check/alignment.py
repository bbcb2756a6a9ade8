"""Aligning two sequences with difflib, in bounded time also if they are long, or some items are very frequent."""

import difflib
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

MAX_PAIRS = 100_000
"""Maximum product of an item's counts in both sequences: difflib repeatedly visits each pair of equal items."""

MAX_ITEMS = 4000
"""Maximum number of items that difflib aligns, as it is quadratic."""

type Opcode = tuple[str, int, int, int, int]
"""`equal`, `replace`, `delete` or `insert`, with start and end in both. A replaced run may contain equal items."""


def opcodes(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[Opcode]:
    """Return the steps that turn the old sequence into the new one.

    What longer sequences have between their common beginning and their common end is one step.
    """
    if max(len(old), len(new)) <= MAX_ITEMS:
        return _aligned(old, new)
    shorter = min(len(old), len(new))
    head = _common(old, new, shorter)
    tail = _common(old[::-1], new[::-1], shorter - head)
    i2, j2 = len(old) - tail, len(new) - tail
    middle = (
        _aligned(old[head:i2], new[head:j2]) if max(i2, j2) - head <= MAX_ITEMS else _replaced(i2 - head, j2 - head)
    )
    shifted = [(tag, head + a, head + b, head + c, head + d) for tag, a, b, c, d in middle]
    ends = [("equal", 0, head, 0, head), *shifted, ("equal", i2, len(old), j2, len(new))]
    return [step for step in ends if step[1] < step[2] or step[3] < step[4]]


def _common(old: Sequence[Hashable], new: Sequence[Hashable], limit: int) -> int:
    """Return how many items at the beginning are equal, up to a limit."""
    return next((at for at in range(limit) if old[at] != new[at]), limit)


def _replaced(old_count: int, new_count: int) -> list[Opcode]:
    return [("replace" if old_count and new_count else "delete" if old_count else "insert", 0, old_count, 0, new_count)]


def _aligned(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[Opcode]:
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
