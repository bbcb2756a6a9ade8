"""Redact what the user's regular expressions match."""

import re

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, as_number

_JSON_START = re.compile(r"\s*[{\[]")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|(?P<number>-?\d[\d.eE+-]*+)')
"""A string or a number of JSON."""


def in_pattern(text: str, decider: Decider) -> str:
    """Return a text with each match replaced, but none in placeholders, and numbers of JSON as a whole."""
    pattern = decider.rules.pattern
    if pattern is None or pattern.search(text) is None:
        return text

    def number(token: re.Match[str]) -> str:
        if token["number"] is None or pattern.search(text, *token.span()) is None:
            return token[0]
        return f'"{as_number(decider.hide(token[0], "regex:"))}"'

    redacted = _TOKEN.sub(number, text) if _JSON_START.match(text) else text
    placeholders = [found.span() for found in PLACEHOLDER.finditer(redacted)]

    def match(found: re.Match[str]) -> str:
        is_placeholder = any(start < found.end() and found.start() < end for start, end in placeholders)
        return found[0] if is_placeholder else decider.hide(found[0], "regex:")

    return pattern.sub(match, redacted)
