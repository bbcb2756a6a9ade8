"""Redaction rules of the user: additional secrets, and names that are not secret.

header:X-Customer     the value of this field
query:ref             this parameter of a URL
json:$.user.email     values selected by this JSONPath (RFC 9535) in a JSON body
regex:cust_[0-9]+     matches of this pattern, anywhere
name:nickname         an additional secret name
keep:session          a name whose values are not secret
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from proxy_policies.capture.bodies.json_path import Path, compile_path
from proxy_policies.options.parsers import require_one_name

KINDS = ("header", "query", "json", "regex", "name", "keep")


@dataclass(frozen=True, slots=True)
class RedactionRules:
    """The user's additions to the defaults."""

    headers: frozenset[str] = frozenset()
    queries: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()
    keep: frozenset[str] = frozenset()
    paths: tuple[Path, ...] = ()
    pattern: re.Pattern[str] | None = None
    """The union of the user's patterns."""


def parse_rules(specs: Iterable[str]) -> RedactionRules:
    """Return the rules of `kind:value` specs. Raise ValueError, with the valid forms, for any other spec."""
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for spec in specs:
        kind, colon, value = spec.partition(":")
        if not colon or not value or kind not in found:
            raise ValueError(f"{spec!r} is not a valid redaction; write {', '.join(f'{kind}:…' for kind in KINDS)}")
        if kind not in ("json", "regex"):
            require_one_name(spec, value, is_field=kind == "header")
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
