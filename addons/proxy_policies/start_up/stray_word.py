"""Rejects a stray word on the command line, which mitmproxy would read as a flow filter. Pure."""

import re
from collections.abc import Sequence

FILTER_PREFIXES = ("~", "!", "(")
"""The beginnings of flow filters other than bare words, which match a part of the URL."""


def message(flow_filter: Sequence[str]) -> str:
    """Return the error for a bare word in a flow filter, given as words; "" if it does not begin with one.

    A bare word is a valid filter, but more likely an option without its dashes.
    """
    word = flow_filter[0].strip() if flow_filter else ""
    if not word or word.startswith(FILTER_PREFIXES):
        return ""
    is_setting = re.match(r"[a-z_]+=", word)
    hint = f"did you mean --set {word}?" if is_setting else f"a flow filter would be '~u {word}'"
    return f"unrecognized argument: {word}; {hint}"
