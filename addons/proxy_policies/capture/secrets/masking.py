"""Mask secrets in logs by one word, the same for all, so that they cannot even be compared."""

from __future__ import annotations

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.redact_message import MessageRedactor
from proxy_policies.capture.secrets.rules import RedactionRules

MASK = "REDACTED"

_redactor = MessageRedactor(Decider(RedactionRules(), lambda secret, rule: MASK, is_response=False))


def mask_url(text: str) -> str:
    """Return a URL, or a text that may contain one, with credentials, tokens and values of secret names masked."""
    return _redactor.url(text)
