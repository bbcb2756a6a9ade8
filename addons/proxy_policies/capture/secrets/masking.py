"""Secrets of which nothing is to be known again: what is a secret in a capture is one word in a log."""

from __future__ import annotations

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.redact_message import MessageRedactor
from proxy_policies.capture.secrets.rules import RedactionRules

MASK = "REDACTED"

_redactor = MessageRedactor(Decider(RedactionRules(), lambda secret, rule: MASK, is_answer=False))


def mask_url(text: str) -> str:
    """Return a URL, or a text that may hold one, without credentials, tokens and what is a secret by its name."""
    return _redactor.url(text)
