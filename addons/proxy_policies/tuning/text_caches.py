"""Caches for hosts and texts that are processed repeatedly. Tested with mitmproxy 12.2."""

from __future__ import annotations

import functools
from collections.abc import Callable

from mitmproxy.net.http import url
from mitmproxy.utils import strutils

from proxy_policies.patch import Replacement

LONGEST = 255
"""Characters of a host (RFC 1035, section 2.3.4); longer ones are not cached."""

AuthorityText = str | bytes
ParseAuthority = Callable[[AuthorityText, bool], tuple[str, int | None]]


def remembered(original: ParseAuthority) -> ParseAuthority:
    """Return a parser that caches recent authorities, as each request needs its own several times."""
    remembering = functools.lru_cache(256)(original)

    def parse_authority(authority: AuthorityText, check: bool) -> tuple[str, int | None]:
        is_short = type(authority) in (str, bytes) and len(authority) <= LONGEST
        return remembering(authority, check) if is_short else original(authority, check)

    return parse_authority


def quick_escape(original: Callable[[str, bool], str]) -> Callable[[str, bool], str]:
    """Return a function that returns printable texts unchanged, without looking each character up."""

    def escape_control_characters(text: str, keep_spacing: bool = True) -> str:
        if type(text) is str and text.isprintable():
            return text
        return original(text, keep_spacing)

    return escape_control_characters


TEXTS = (
    Replacement(
        owner=url,
        attribute="parse_authority",
        wrap=remembered,
        seen_on="12.2",
        why="a Host is parsed again for each addon that needs it",
    ),
    Replacement(
        owner=strutils,
        attribute="escape_control_characters",
        wrap=quick_escape,
        seen_on="12.2",
        why="each character that mitmdump prints is looked up in a table",
    ),
)
