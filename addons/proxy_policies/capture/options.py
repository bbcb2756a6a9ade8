"""Options that the capture and the replay policy share."""

from proxy_policies.capture import redact
from proxy_policies.settings import Setting

REDACT = Setting(
    (),
    redact.parse_rules,
    "Further secrets: header:NAME, query:NAME, json:JSONPATH, regex:PATTERN, name:NAME; keep:NAME is no secret.",
)
