"""Which items of two sequences stand for each other: difflib's answer, in bounded time where few items come often."""

import difflib
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

PAIRS_MOST = 100_000
"""How often an item may be in one sequence times in the other: difflib takes a step for each pair, again and again."""

type Opcode = tuple[str, int, int, int, int]
"""`equal`, `replace`, `delete` or `insert`, and where it is in both. Of what is replaced some may be equal."""


def opcodes(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[Opcode]:
    """Return how the new sequence is made from the old one."""
    frequent = _frequent(old, new)
    one, other = (list(_numbered(items, frequent)) if frequent else items for items in (old, new))
    return [(*opcode,) for opcode in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes()]


def _frequent(old: Sequence[Hashable], new: Sequence[Hashable]) -> set[Hashable]:
    before, after = Counter(old), Counter(new)
    return {item for item, count in before.items() if count * after[item] > PAIRS_MOST}


def _numbered(items: Sequence[Hashable], frequent: set[Hashable]) -> Iterator[Hashable]:
    """Yield the items, frequent ones with how many of them came before: the first one stands for the first."""
    counts: Counter[Hashable] = Counter()
    for item in items:
        if item not in frequent:
            yield item
            continue
        yield item, counts[item]
        counts[item] += 1
