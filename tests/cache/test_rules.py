"""How a cache rule is written.

What the rules that match a flow add up to."""

import pytest

from proxy_policies.cache.rfc9111.freshness import Overrides
from proxy_policies.cache.rules import NO_EFFECTS, effects_for, parse_cache_rule
from proxy_policies.rules import parse_rule

BAD_RULES = [
    ("tll=5", "did you mean 'ttl'"),
    ("ttl", "write ttl="),
    ("ttl=x", "write a duration"),
    ("force=1", "no value"),
    ("key-header=a b", "field name"),
    ("xyzzy", "write ttl=60"),
    ("status=200", "write ttl=60, status=200 404"),
    ("ttl=60, status=", "write status=200 404"),
    ("ttl=60, status=20", "status=20: write"),
    ("ttl=60, status=1xx", "status=1xx: write"),
    ("ttl=60, status=200 429", "429 is never stored"),
    ("ttl=60, statsu=200", "did you mean 'status'"),
    (" , ", "says nothing"),
]


@pytest.mark.parametrize(("action", "message"), BAD_RULES)
def test_misspelt_rules(action: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_cache_rule(parse_rule(f"//{action}"))


def test_no_value_of_a_key_header_passes_for_those_of_others() -> None:
    effects = effects_for([parse_cache_rule(parse_rule("//key-header=X, key-header=Y"))], lambda rule: True)
    asked = [{"x": "1 y=2", "y": ""}, {"x": "1", "y": "2 y="}, {"x": "1", "y": "2"}, {"x": "1 y=2"}, {"x": "1%20y=2"}]
    asked += [{"x": value} for value in ("\udcff", "\xff", "%FF")]  # a byte that is not UTF-8, and its likes
    keys = [effects.key("http://a.test/", headers) for headers in asked]
    assert keys[0] == keys[3]  # absent is as empty
    assert len(set(keys)) == 7


def test_rules_add_up() -> None:
    specs = ["//ttl=5m, ignore-query=utm_* fbclid", "//ttl=1h, stale-if-error=1d, key-header=X-Tenant", "//force"]
    rules = [parse_cache_rule(parse_rule(spec)) for spec in specs]
    effects = effects_for(rules, lambda _: True)
    assert effects.overrides_for(200) == Overrides(ttl=3600, stale_if_error=86400, force=True)
    assert effects.overrides_for(500) == Overrides(stale_if_error=86400, force=True)
    assert effects.key("http://x/?utm_a=1&b=2", {"x-tenant": "t"}) == "http://x/?b=2 x-tenant=t"
    assert effects_for(rules, lambda _: False) is NO_EFFECTS


@pytest.mark.parametrize("name", ["ttl", "stale_while_revalidate", "stale_if_error"])
def test_durations_are_limited_as_those_in_responses_are(name: str) -> None:
    """So `ttl` in Cache-Status has no more digits than an integer of a structured field may have (RFC 8941, 3.3.1)."""
    rule = parse_cache_rule(parse_rule(f"//{name.replace('_', '-')}={'9' * 300}d"))
    assert getattr(effects_for([rule], lambda _: True).overrides_for(200), name) == 2**31


def test_rules_say_which_answers_their_ttl_is_for() -> None:
    specs = ["//ttl=60", "//status=404 5xx, ttl=5"]
    effects = effects_for([parse_cache_rule(parse_rule(spec)) for spec in specs], lambda _: True)
    ttls = {status: effects.overrides_for(status).ttl for status in (200, 203, 301, 302, 308, 410, 404, 500, 503)}
    assert ttls == dict.fromkeys((200, 203, 301, 302, 308, 410), 60.0) | dict.fromkeys((404, 500, 503), 5.0)
    for status in (206, 303, 400, 405, 421, 428, 429, 431, 511):
        assert effects.overrides_for(status).ttl is None
