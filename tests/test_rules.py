"""The one grammar of every rule."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.test import tflow

from proxy_policies.rules import Rule, parse_filter, parse_rule, parse_rules


@pytest.mark.parametrize(
    ("spec", "filter_text", "action"),
    [
        ("//off", "", "off"),
        ("/~d example.test/off", "~d example.test", "off"),
        ("|~u /a/b|off", "~u /a/b", "off"),
        ("//X-Path//a//b/", "", "X-Path//a//b/"),
        ("/ /off", " ", "off"),
        (":~m GET & ~c 200:a:b", "~m GET & ~c 200", "a:b"),
    ],
)
def test_a_rule_has_a_filter_and_an_action(spec: str, filter_text: str, action: str) -> None:
    rule = parse_rule(spec)
    assert (rule.filter_text, rule.action, rule.spec) == (filter_text, action, spec)


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("", "'' is not a valid rule; write /flow-filter/action, for example //action"),
        ("off", "'off' is not a valid rule; write /flow-filter/action, for example //off"),
        ("1~q1off", "'1~q1off' is not a valid rule"),
        (" //off", "' //off' is not a valid rule"),
        ("/off", "'/off' lacks its second '/'; write /flow-filter/action"),
        ("|~q|", r"'\|~q\|' lacks its action; write \|flow-filter\|action"),
        ("//", "'//' lacks its action"),
        ("/~nothing/off", "'~nothing' is not a valid flow filter; see https://"),
        ("/~u [/off", r"'~u \[' is not a valid flow filter"),
        ("/~b secret/off", "'/~b secret/off' would never match: rules apply to heads, before ~b can be evaluated"),
        ("/~q & !(~u a | ~bq x)/off", r".* before ~bq can be evaluated"),
        ("/~bs x/off", ".* before ~bs can be evaluated"),
        ("/~e/off", ".* before ~e can be evaluated"),
    ],
)
def test_what_is_no_rule_is_quoted(spec: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{complaint}"):
        parse_rule(spec)


@pytest.mark.parametrize("text", ["!" * 1000 + "a", "(!" * 300 + "a" + ")" * 300, "(a | b & " * 300 + "a" + ")" * 300])
def test_a_filter_nested_too_deep_is_refused(text: str) -> None:
    """Parsing it may go well, depending on pyparsing; matching would not."""
    with pytest.raises(ValueError, match="is not a valid flow filter"):
        parse_filter(text)


@pytest.mark.parametrize("depth", [1, 10, 30, 100, 500, 3000])
@pytest.mark.parametrize(("opening", "closing"), [("(", ")"), ("!", ""), ("(!", ")"), ("(a | ", ")"), ("(a & ", ")")])
def test_what_is_no_flow_filter_is_told_before_a_flow_comes(opening: str, closing: str, depth: int) -> None:
    try:
        matching = parse_filter(opening * depth + "a" + closing * depth)
    except ValueError:
        assert depth > 10
    else:
        matching(tflow.tflow(resp=True))


def test_matches() -> None:
    flow = tflow.tflow(resp=True)
    assert parse_rule("//off").matches(flow)
    assert parse_rule("/~c 200/off").matches(flow)
    assert not parse_rule("/~c 404/off").matches(flow)


def test_parse_rules_reads_each() -> None:
    def action(rule: Rule) -> str:
        return rule.action

    assert parse_rules(action)(["//a", "//b"]) == ("a", "b")
    assert parse_rules(action)([]) == ()


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("/~u /private/off", "choose another separator: |~u /private|off"),
        ("/~u a/b/off", "choose another separator: |~u a/b|off"),
        ("/~u /a|b/off", "choose another separator: :~u /a|b:off"),
        ("|~q | ~s|off", "choose another separator: :~q | ~s:off"),
        ("/~u a/of", ""),
        ("//a/b", ""),
        ("/off", ""),
        ("", ""),
        ("off", ""),
    ],
)
def test_a_separator_that_is_in_the_filter_is_told(spec: str, hint: str) -> None:
    def off(rule: Rule) -> None:
        if rule.action != "off":
            raise ValueError(f"{rule.action!r} is not off")

    with pytest.raises(ValueError) as caught:
        parse_rules(off)([spec])
    assert ("separator:" in str(caught.value)) == bool(hint)
    assert hint in str(caught.value)


filters = st.lists(st.sampled_from(["~q", "~s", "~u", "~c", "~d", "(", ")", "!", "&", "|", "a", "200", "'", '"', "\\"]))


@given(st.text(max_size=1), filters.map(" ".join), st.text())
def test_any_text_is_a_rule_or_a_value_error(separator: str, filter_text: str, action: str) -> None:
    spec = separator + filter_text + separator + action
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # re warns of odd patterns
        try:
            rule = parse_rule(spec)
        except ValueError:
            return
    assert rule.spec == rule.spec[0] + rule.filter_text + rule.spec[0] + rule.action
    assert rule.spec[0] not in rule.filter_text
    rule.matches(tflow.tflow(resp=True))
