"""Mask secrets in logs by one word, the same for all, so that they cannot even be compared."""

from __future__ import annotations

import re

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.redact_message import MessageRedactor
from proxy_policies.capture.secrets.rules import RedactionRules

MASK = "REDACTED"

_PLAIN_URL = re.compile(
    r"(?:https?://(?!hooks\.slack\.com/)[a-z0-9-]{1,11}+(?:\.[a-z0-9-]{1,11}+)*+(?::[0-9]{1,5}+)?+)?+"
    r"(?:/[A-Za-z0-9_.-]{0,11}+)*+"
)
"""URLs without user, parameters and escapes, whose segments are too short for a secret: most URLs of APIs."""

_redactor = MessageRedactor(Decider(RedactionRules(), lambda secret, rule: MASK, is_response=False))


def mask_url(text: str) -> str:
    """Return a URL, or a text that may contain one, with credentials, tokens and values of secret names masked."""
    return text if _PLAIN_URL.fullmatch(text) else _redactor.url(text)
