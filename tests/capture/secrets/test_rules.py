"""The user's own rules of redaction are read, or refused in one line."""

import pytest

from proxy_policies.capture.secrets.rules import parse_rules


def test_rules_are_read_by_kind() -> None:
    specs = ["header:X-A", "query:Ref", "name:nick", "keep:Session", "json:$.a", "regex:cust_[0-9]+", "regex:x{2}"]
    rules = parse_rules(specs)
    assert (rules.headers, rules.queries, rules.names, rules.keep) == (
        *(frozenset(["x-a"]), frozenset(["ref"]), ("nick",), frozenset(["session"])),
    )
    assert rules.pattern is not None
    assert rules.pattern.findall("cust_12 xx x") == ["cust_12", "xx"]
    assert len(rules.paths) == 1


@pytest.mark.parametrize("spec", ["", "x", "header:", "cookie:a", "json:$[", "regex:(", "regex:a*"])
def test_a_wrong_rule_is_refused(spec: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_rules([spec])
    assert "\n" not in str(error.value)
