"""The user's own rules of what is a secret, and what is none.

header:X-Customer     this field's value
query:ref             this parameter of a URL
json:$.user.email     what this JSONPath (RFC 9535) selects in a JSON body
regex:cust_[0-9]+     what this pattern finds, anywhere
name:nickname         a further name, wherever names are looked at
keep:session          a name that carries no secret here
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from proxy_policies.capture.json_path import Path, compile_path

KINDS = ("header", "query", "json", "regex", "name", "keep")


@dataclass(frozen=True, slots=True)
class RedactionRules:
    """What the user added to the defaults."""

    headers: frozenset[str] = frozenset()
    queries: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()
    keep: frozenset[str] = frozenset()
    paths: tuple[Path, ...] = ()
    pattern: re.Pattern[str] | None = None
    """What the user's own patterns find."""


def parse_rules(specs: Iterable[str]) -> RedactionRules:
    """Read `kind:value` specs. Raises ValueError saying what is valid."""
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for spec in specs:
        kind, colon, value = spec.partition(":")
        if not colon or not value or kind not in found:
            raise ValueError(f"{spec!r} is not a valid redaction; write {', '.join(f'{kind}:…' for kind in KINDS)}")
        found[kind].append(value)
    return RedactionRules(
        headers=frozenset(name.lower() for name in found["header"]),
        queries=frozenset(name.lower() for name in found["query"]),
        names=tuple(found["name"]),
        keep=frozenset(name.lower() for name in found["keep"]),
        paths=tuple(compile_path(path) for path in found["json"]),
        pattern=_pattern(found["regex"]),
    )


def _pattern(expressions: Iterable[str]) -> re.Pattern[str] | None:
    patterns = []
    for text in expressions:
        try:
            if re.compile(text).match(""):
                raise ValueError(f"{text!r} matches the empty string: every text would be a secret")
        except re.error as error:
            raise ValueError(f"{text!r} is not a valid regular expression: {error}") from None
        patterns.append(f"(?:{text})")
    return re.compile("|".join(patterns)) if patterns else None
