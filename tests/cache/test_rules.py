"""How a cache rule is written."""

import pytest

from proxy_policies.cache.rules import parse_cache_rule
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
