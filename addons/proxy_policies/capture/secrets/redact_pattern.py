"""Redact what the user's regular expressions match."""

import re
from collections import deque

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, as_number

_JSON_START = re.compile(r"\s*[{\[]")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|(?P<number>-?\d[\d.eE+-]*+)')
"""A string or a number of JSON."""


def in_pattern(text: str, decider: Decider) -> str:
    """Return a text with each match replaced, and with it placeholders and numbers of JSON that are partly in it.

    A match that begins in a placeholder is none: the text had something else there.
    """
    pattern = decider.rules.pattern
    if pattern is None or pattern.search(text) is None:
        return text

    def number(token: re.Match[str]) -> str:
        if token["number"] is None or pattern.search(text, *token.span()) is None:
            return token[0]
        return f'"{as_number(decider.hide(token[0], "regex:"))}"'

    redacted = _TOKEN.sub(number, text) if _JSON_START.match(text) else text
    placeholders = deque(found.span() for found in PLACEHOLDER.finditer(redacted))
    pieces: list[str] = []
    done = at = 0
    while at <= len(redacted) and (found := pattern.search(redacted, at)) is not None:
        begin, end = found.span()
        while placeholders and placeholders[0][1] <= begin:
            placeholders.popleft()
        first, last = placeholders[0] if placeholders else (len(redacted), 0)
        if first < begin or (first == begin and end <= last):
            at = last
            continue
        while placeholders and placeholders[0][0] < end:
            end = max(end, placeholders.popleft()[1])
        pieces += (redacted[done:begin], decider.hide(redacted[begin:end], "regex:"))
        done, at = end, max(end, begin + 1)
    return "".join((*pieces, redacted[done:]))
