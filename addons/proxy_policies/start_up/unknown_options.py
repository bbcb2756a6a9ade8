"""Options that no addon has: what is said of them, and which of them end the start. Pure: names in, text out."""

import difflib
import enum
from collections.abc import Collection

ALIKE = 0.7
"""From this likeness on (difflib's ratio) one name is taken for another, misspelt."""
OTHER_PROGRAMS = ("console_", "dumper_", "view_", "web_")
"""How options begin that only some of mitmdump, mitmproxy and mitmweb have, which share one config.yaml."""
OF_SOME_PROGRAMS = frozenset({"flow_detail", "intercept", "intercept_active", "keepserving", "termlog_verbosity"})
"""The others that only some of them have."""


class Verdict(enum.Enum):
    """What comes of an option that no addon has."""

    REFUSED = enum.auto()
    WARNED = enum.auto()
    IGNORED = enum.auto()


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return the option that was probably meant; None when no name is near."""
    return next(iter(difflib.get_close_matches(name, sorted(known), 1, ALIKE)), None)


def judge(name: str, known: Collection[str], on_command_line: bool) -> Verdict:
    """Decide about an option: what config.yaml has may be for another program, or for a script not loaded today."""
    if on_command_line:
        return Verdict.REFUSED
    if name.startswith(OTHER_PROGRAMS) or name in OF_SOME_PROGRAMS:
        return Verdict.IGNORED
    return Verdict.REFUSED if nearest(name, known) else Verdict.WARNED


def complaint(name: str, known: Collection[str]) -> str:
    """Return the line that says what is unknown, and what was probably meant."""
    meant = nearest(name, known)
    return f"unknown option {name!r}; " + (f"did you mean {meant!r}?" if meant else "--options lists those there are")
