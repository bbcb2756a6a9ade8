"""`cache_rules`: the user's rules for some flows, `/flow-filter/ttl=60, status=200 404, bypass, …`, combined."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from proxy_policies.cache.rfc9111.directives import MAX_DELTA
from proxy_policies.cache.rfc9111.freshness import NO_OVERRIDES, Overrides
from proxy_policies.cache.rfc9111.key import without_query
from proxy_policies.cache.rfc9111.storability import DATED_BY_RULES_STATUS, NEVER_STORED_STATUS
from proxy_policies.fields import TOKEN
from proxy_policies.log_lines import nearest
from proxy_policies.options.parsers import parse_duration

if TYPE_CHECKING:
    from proxy_policies.rules import Rule


@dataclass(frozen=True, slots=True)
class Ttl:
    """A rule's freshness lifetime in seconds, and the statuses to which it applies."""

    seconds: float
    statuses: frozenset[int]


@dataclass(frozen=True, slots=True)
class RuleEffects:
    """The combined effects of the rules that match a flow; the later rule wins."""

    overrides: Overrides = NO_OVERRIDES
    """Except `ttl`, which depends on the status: see `overrides_for`."""
    ttls: tuple[Ttl, ...] = ()
    bypass: bool = False
    ignore_query: tuple[str, ...] = ()
    key_headers: tuple[str, ...] = ()

    def overrides_for(self, status: int) -> Overrides:
        """Return the values that override the origin's in a response of this status."""
        if not self.ttls:
            return self.overrides
        seconds = next((ttl.seconds for ttl in reversed(self.ttls) if status in ttl.statuses), None)
        return self.overrides if seconds is None else replace(self.overrides, ttl=seconds)

    def key(self, key: str, headers: Mapping[str, str]) -> str:
        """Return the key under these rules; values of key-headers are added, quoted so that they are unambiguous."""
        if self.ignore_query:
            key = without_query(key, self.ignore_query)
        for name in self.key_headers:
            key += f" {name}={quote(headers.get(name, ''), safe='', errors='surrogateescape')}"
        return key


NO_EFFECTS = RuleEffects()
EffectChange = Callable[[RuleEffects], RuleEffects]


@dataclass(frozen=True, slots=True)
class CacheRule:
    """One rule: the flows it matches, and its effects."""

    rule: Rule
    changes: tuple[EffectChange, ...]

    def apply(self, effects: RuleEffects) -> RuleEffects:
        """Add this rule's effects to those before it."""
        for change in self.changes:
            effects = change(effects)
        return effects


def parse_cache_rule(rule: Rule) -> CacheRule:
    """Parse one rule's actions. Raise ValueError, which suggests the nearest name for a misspelt action."""
    actions = [_split(action) for action in rule.action.split(",") if action.strip()]
    if not actions:
        raise ValueError(f"{rule.spec!r} says nothing; write {_FORMS}")
    statuses = [value for name, _, value in actions if name == "status"]
    changes = [_parse_action(*action) for action in actions if action[0] != "status"]
    if not statuses:
        return CacheRule(rule, tuple(changes))
    if not any(name == "ttl" for name, _, _ in actions):
        raise ValueError(f"{rule.spec!r}: status= says which responses ttl= applies to; write ttl=60, status=200 404")
    return CacheRule(rule, (*changes, _for_statuses(statuses)))


def _split(action: str) -> tuple[str, str, str]:
    name, equals, value = (part.strip() for part in action.partition("="))
    return name, equals, value


def _parse_action(name: str, equals: str, value: str) -> EffectChange:
    action = f"{name}{equals}{value}"
    if name in _SWITCHES:
        if equals:
            raise ValueError(f"{action!r}: {name} takes no value")
        return _SWITCHES[name]
    if name not in _VALUED:
        near = nearest(name, [*_SWITCHES, *_VALUED, "status"])
        hint = f"did you mean {near!r}?" if near else f"write {_FORMS}"
        raise ValueError(f"{name!r} is not a cache rule action; {hint}")
    if not value:
        raise ValueError(f"{action!r}: write {name}=…")
    try:
        return _VALUED[name](value)
    except ValueError as error:
        raise ValueError(f"{action!r}: {error}") from None


def _override(**changes: object) -> EffectChange:
    def change(effects: RuleEffects) -> RuleEffects:
        return replace(effects, overrides=replace(effects.overrides, **changes))  # type: ignore[arg-type]

    return change


def _delta_seconds(value: str) -> float:
    """Parse a duration, limited like those in responses (RFC 9111, section 1.2.2)."""
    return min(parse_duration(value), MAX_DELTA)


def _ttl(value: str) -> EffectChange:
    ttl = Ttl(_delta_seconds(value), DATED_BY_RULES_STATUS)
    return lambda effects: replace(effects, ttls=(*effects.ttls, ttl))


def _for_statuses(values: Sequence[str]) -> EffectChange:
    """Restrict the rule's own ttl=, the last so far, to these statuses."""
    statuses = frozenset(status for value in values for text in value.split() for status in _statuses(text))
    if not statuses:
        raise ValueError("write status=200 404, or status=2xx")
    return lambda effects: replace(effects, ttls=(*effects.ttls[:-1], replace(effects.ttls[-1], statuses=statuses)))


def _statuses(text: str) -> frozenset[int]:
    """Parse `404`, or `4xx` for a whole class except statuses that are never stored. Raise ValueError."""
    if re.fullmatch("[2-5]xx", text):
        return frozenset(range(int(text[0]) * 100, int(text[0]) * 100 + 100)) - NEVER_STORED_STATUS
    if not re.fullmatch("[2-5][0-9][0-9]", text):
        raise ValueError(f"status={text}: write status=200 404, or status=2xx")
    if int(text) in NEVER_STORED_STATUS:
        raise ValueError(f"status={text}: a response with status {text} is never stored: it concerns one request")
    return frozenset({int(text)})


def _bypass(effects: RuleEffects) -> RuleEffects:
    return replace(effects, bypass=True)


def _ignore_query(value: str) -> EffectChange:
    globs = tuple(value.split())
    return lambda effects: replace(effects, ignore_query=(*effects.ignore_query, *globs))


def _key_header(value: str) -> EffectChange:
    if not TOKEN.fullmatch(value):
        raise ValueError("write a field name such as X-Tenant")
    return lambda effects: replace(effects, key_headers=(*effects.key_headers, value.lower()))


_SWITCHES: dict[str, EffectChange] = {
    "bypass": _bypass,
    "force": _override(force=True),
    "share-cookies": _override(share_cookies=True),
    "undated-304": _override(undated_304=True),
}
_VALUED: dict[str, Callable[[str], EffectChange]] = {
    "ttl": _ttl,
    "stale-while-revalidate": lambda value: _override(stale_while_revalidate=_delta_seconds(value)),
    "stale-if-error": lambda value: _override(stale_if_error=_delta_seconds(value)),
    "ignore-query": _ignore_query,
    "key-header": _key_header,
}
_FORMS = (
    "ttl=60, status=200 404, stale-while-revalidate=5m, stale-if-error=1h, ignore-query=utm_*, key-header=X-Tenant, "
    "bypass, force, share-cookies or undated-304"
)


def effects_for(rules: Sequence[CacheRule], matches: Callable[[Rule], bool]) -> RuleEffects:
    """Combine the rules that match."""
    effects = NO_EFFECTS
    for rule in rules:
        if matches(rule.rule):
            effects = rule.apply(effects)
    return effects
