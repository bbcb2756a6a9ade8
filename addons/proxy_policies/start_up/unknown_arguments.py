"""Options that no addon has, and stray words: which of them end the start, and the messages about them. Pure."""

import enum
import re
from collections.abc import Collection, Sequence

from proxy_policies.log_lines import nearest

SIMILARITY = 0.7
"""The similarity (difflib's ratio) from which a name is considered a misspelling of another."""
OTHER_PROGRAMS = ("console_", "dumper_", "view_", "web_")
"""Prefixes of options that only some of mitmdump, mitmproxy and mitmweb have, which share one config.yaml."""
OF_SOME_PROGRAMS = frozenset({"flow_detail", "intercept", "intercept_active", "keepserving", "termlog_verbosity"})
"""Other options that only some of them have."""
FILTER_PREFIXES = ("~", "!", "(")
"""The beginnings of flow filters other than bare words, which match a part of the URL."""


class Severity(enum.Enum):
    """How an option that no addon has is treated."""

    REJECTED = enum.auto()
    WARNED = enum.auto()
    IGNORED = enum.auto()


def judge(name: str, known: Collection[str], on_command_line: bool) -> Severity:
    """Decide about an option; one in config.yaml may be for another program, or for a script that is not loaded."""
    if on_command_line:
        return Severity.REJECTED
    if name.startswith(OTHER_PROGRAMS) or name in OF_SOME_PROGRAMS:
        return Severity.IGNORED
    return Severity.REJECTED if nearest(name, known, SIMILARITY) else Severity.WARNED


def unknown_option(name: str, known: Collection[str]) -> str:
    """Return the line about an unknown option, with a suggestion if a name is similar."""
    similar = nearest(name, known, SIMILARITY)
    return f"unknown option {name!r}; " + (f"did you mean {similar!r}?" if similar else "--options lists all options")


def stray_word(flow_filter: Sequence[str]) -> str:
    """Return the error for a bare word in a flow filter, given as words; "" if it does not begin with one.

    A bare word is a valid filter, but more likely an option without its dashes.
    """
    word = flow_filter[0].strip() if flow_filter else ""
    if not word or word.startswith(FILTER_PREFIXES):
        return ""
    is_setting = re.match(r"[a-z_]+=", word)
    hint = f"did you mean --set {word}?" if is_setting else f"a flow filter would be '~u {word}'"
    return f"unrecognized argument: {word}; {hint}"
