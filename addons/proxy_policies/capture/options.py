"""Options that the capture and the replay policy share."""

from __future__ import annotations

from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.settings import Setting

with lazy_imports():
    from proxy_policies.capture.secrets import rules


REDACT = Setting(
    (),
    lambda specs: rules.parse_rules(specs),  # imported when the option is first read
    "Further secrets: header:NAME, query:NAME, json:JSONPATH, regex:PATTERN, name:NAME; keep:NAME exempts a name.",
)
