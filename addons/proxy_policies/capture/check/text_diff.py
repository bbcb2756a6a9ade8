"""The differences between two texts, line by line."""

import json
import re
from collections.abc import Iterator, Sequence

from proxy_policies.capture.check.alignment import MAX_ITEMS, opcodes
from proxy_policies.capture.check.change import Change
from proxy_policies.capture.check.secret_pairs import SecretPairs
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER
from proxy_policies.log_lines import quantity

_LINE_END = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


def lines_of(text: str, is_html: bool) -> list[str]:
    """Return a text's lines; HTML is also split between tags."""
    if not is_html:
        return text.splitlines()
    return [line.rstrip() for line in text.replace("><", ">\n<").splitlines()]


def _count_ends(ends: Sequence[str]) -> str:
    """Return the number of lines with each line end."""
    counts = [f"{ends.count(end)} that end with {json.dumps(end)}" for end in sorted(set(ends))]
    return f"lines: {', '.join(counts) or 'none that ends'}"


def text_changes(old: str, new: str, is_html: bool = False, secrets: SecretPairs | None = None) -> Iterator[Change]:
    """Yield each run of lines that differs; `text:LINE` counts from 1 in the old text."""
    changes = list(_line_changes(old, new, is_html, secrets or SecretPairs()))
    yield from changes
    old_ends, new_ends = _LINE_END.findall(old), _LINE_END.findall(new)
    if not is_html and old_ends != new_ends and (not changes or set(old_ends) != set(new_ends)):
        yield Change("text:1", _count_ends(old_ends), _count_ends(new_ends))


def _line_changes(old: str, new: str, is_html: bool, secrets: SecretPairs) -> Iterator[Change]:
    before, after = lines_of(old, is_html), lines_of(new, is_html)
    one, other = ([_mask_secrets(line) for line in lines] for lines in (before, after))
    for tag, i1, i2, j1, j2 in opcodes(one, other):
        if tag == "equal" or (tag == "replace" and i2 - i1 == j2 - j1):
            pairs = [(i1 + k, before[i1 + k], after[j1 + k]) for k in range(i2 - i1)]
            yield from (Change(f"text:{k + 1}", a, b) for k, a, b in pairs if not secrets.are_equal(a, b))
        else:
            kind = {"insert": "added", "delete": "removed", "replace": "changed"}[tag]
            yield Change(f"text:{i1 + 1}", _joined(before[i1:i2]), _joined(after[j1:j2]), kind)


def _joined(lines: Sequence[str]) -> str | None:
    if len(lines) > MAX_ITEMS:
        return quantity(len(lines), "line")
    return "\n".join(lines) if lines else None


def _mask_secrets(text: str) -> str:
    return PLACEHOLDER.sub("<secret>", text) if "secret_" in text else text
