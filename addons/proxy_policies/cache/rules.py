"""`cache_rules`: what the user says of some flows, `/flow-filter/ttl=60, stale-if-error=1h, bypass, force, …`."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from proxy_policies.cache.freshness import NO_OVERRIDES, Overrides
from proxy_policies.cache.key import without_query
from proxy_policies.fields import TOKEN
from proxy_policies.rules import Rule
from proxy_policies.settings import parse_duration


@dataclass(frozen=True, slots=True)
class Treatment:
    """What the rules that match a flow add up to; the later rule wins."""

    overrides: Overrides = NO_OVERRIDES
    bypass: bool = False
    ignore_query: tuple[str, ...] = ()
    key_headers: tuple[str, ...] = ()

    def key(self, key: str, headers: Mapping[str, str]) -> str:
        """Compute the key under these rules; what a key-header holds is part of it, quoted so that nothing else is."""
        if self.ignore_query:
            key = without_query(key, self.ignore_query)
        for name in self.key_headers:
            key += f" {name}={quote(headers.get(name, ''), safe='')}"
        return key


NO_TREATMENT = Treatment()


@dataclass(frozen=True, slots=True)
class CacheRule:
    """One rule: for which flows, and how it changes their treatment."""

    rule: Rule
    changes: tuple[Callable[[Treatment], Treatment], ...]

    def apply(self, treatment: Treatment) -> Treatment:
        """Add this rule to those before it."""
        for change in self.changes:
            treatment = change(treatment)
        return treatment


Change = Callable[[Treatment], Treatment]


def parse_cache_rule(rule: Rule) -> CacheRule:
    """Read one rule's actions; raises ValueError naming the nearest one to a misspelt action."""
    actions = [action.strip() for action in rule.action.split(",") if action.strip()]
    if not actions:
        raise ValueError(f"{rule.spec!r} says nothing; write {_FORMS}")
    return CacheRule(rule, tuple(_parse_action(action) for action in actions))


def _parse_action(action: str) -> Change:
    name, equals, value = (part.strip() for part in action.partition("="))
    if name in _SWITCHES:
        if equals:
            raise ValueError(f"{action!r}: {name} takes no value")
        return _SWITCHES[name]
    if name not in _VALUED:
        nearest = difflib.get_close_matches(name, [*_SWITCHES, *_VALUED], 1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"write {_FORMS}"
        raise ValueError(f"{name!r} is no action of a cache rule; {hint}")
    if not value:
        raise ValueError(f"{action!r}: write {name}=…")
    try:
        return _VALUED[name](value)
    except ValueError as error:
        raise ValueError(f"{action!r}: {error}") from None


def _override(**changes: object) -> Change:
    def change(treatment: Treatment) -> Treatment:
        return replace(treatment, overrides=replace(treatment.overrides, **changes))  # type: ignore[arg-type]

    return change


def _bypass(treatment: Treatment) -> Treatment:
    return replace(treatment, bypass=True)


def _ignore_query(value: str) -> Change:
    globs = tuple(value.split())
    return lambda treatment: replace(treatment, ignore_query=(*treatment.ignore_query, *globs))


def _key_header(value: str) -> Change:
    if not TOKEN.fullmatch(value):
        raise ValueError("write a field name such as X-Tenant")
    return lambda treatment: replace(treatment, key_headers=(*treatment.key_headers, value.lower()))


_SWITCHES: dict[str, Change] = {
    "bypass": _bypass,
    "force": _override(force=True),
    "undated-304": _override(undated_304=True),
}
_VALUED: dict[str, Callable[[str], Change]] = {
    "ttl": lambda value: _override(ttl=parse_duration(value)),
    "stale-while-revalidate": lambda value: _override(stale_while_revalidate=parse_duration(value)),
    "stale-if-error": lambda value: _override(stale_if_error=parse_duration(value)),
    "ignore-query": _ignore_query,
    "key-header": _key_header,
}
_FORMS = (
    "ttl=60, stale-while-revalidate=5m, stale-if-error=1h, ignore-query=utm_*, key-header=X-Tenant, "
    "bypass, force or undated-304"
)


def treatment_of(rules: Sequence[CacheRule], matches: Callable[[Rule], bool]) -> Treatment:
    """Add up the rules that match."""
    treatment = NO_TREATMENT
    for rule in rules:
        if matches(rule.rule):
            treatment = rule.apply(treatment)
    return treatment
