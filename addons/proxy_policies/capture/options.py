"""Options that the capture and the replay policy share."""

from __future__ import annotations

from collections.abc import Sequence

from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.settings import Setting

with lazy_imports():
    from proxy_policies.capture.secrets import rules


def parse_rules(specs: Sequence[str]) -> rules.RedactionRules:
    """Return `capture_redact` parsed. Raise ValueError."""
    return rules.parse_rules(specs)


REDACT = Setting(
    (),
    parse_rules,
    "Further secrets: header:NAME, query:NAME, json:JSONPATH, regex:PATTERN, name:NAME; keep:NAME exempts a name.",
)
