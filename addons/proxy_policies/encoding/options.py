"""Parses the options of encoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy_policies.lazy_imports import lazy_imports

if TYPE_CHECKING:
    from proxy_policies.rules import Rule

with lazy_imports():
    from proxy_policies.encoding import codecs

OFF = "off"


@dataclass(frozen=True, slots=True)
class EncodeRule:
    """The codings for the flows of one rule; none turns encoding off for them."""

    rule: Rule
    codings: tuple[str, ...]


def parse_codings(texts: Sequence[str]) -> tuple[str, ...]:
    """Parse content codings, in order of preference, from several texts or one with commas; `off` means none.

    Raise ValueError, which lists the supported ones.
    """
    names = [name.strip().lower() for text in texts for name in text.split(",") if name.strip()]
    if names in ([], [OFF]):
        return ()
    for name in names:
        if name not in codecs.CODECS:
            raise ValueError(
                f"{name!r} is not a supported coding; choose among {', '.join(codecs.CODECS)}, or {OFF} alone"
            )
    return tuple(dict.fromkeys(names))


def read_rule(rule: Rule) -> EncodeRule:
    """Parse one of `encode_rules`. Raise ValueError, which quotes it."""
    try:
        return EncodeRule(rule, parse_codings([rule.action]))
    except ValueError as error:
        raise ValueError(f"{rule.spec!r}: {error}") from error
