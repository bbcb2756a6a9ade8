"""Two texts as rows of a side-by-side diff."""

from collections.abc import Sequence

from proxy_policies.capture import dynamic_values
from proxy_policies.capture.check.alignment import opcodes

MAX_LINES = 4000  # longer texts are cut: difflib is quadratic

type Row = tuple[str, str | None, str | None]  # tag, old line, new line; the tags: =, ~ (dynamic), !, -, +


def rows(old: Sequence[str], new: Sequence[str]) -> list[Row]:
    """Return the rows of two lists of lines; lines that differ in dynamic values only are in one row."""
    old, new = old[:MAX_LINES], new[:MAX_LINES]
    one, other = ([dynamic_values.mask(line) for line in lines] for lines in (old, new))
    found: list[Row] = []
    for tag, i1, i2, j1, j2 in opcodes(one, other):
        before, after = old[i1:i2], new[j1:j2]
        if tag == "equal":
            found += [(_tag(a, b), a, b) for a, b in zip(before, after, strict=True)]
        else:
            found += _changed_rows(before, after)
    return found


def _changed_rows(before: Sequence[str], after: Sequence[str]) -> list[Row]:
    both = min(len(before), len(after))
    return [
        *((_tag(a, b), a, b) for a, b in zip(before[:both], after[:both], strict=True)),
        *(("-", line, None) for line in before[both:]),
        *(("+", None, line) for line in after[both:]),
    ]


def _tag(old: str, new: str) -> str:
    if old == new:
        return "="
    return "~" if dynamic_values.mask(old) == dynamic_values.mask(new) else "!"
