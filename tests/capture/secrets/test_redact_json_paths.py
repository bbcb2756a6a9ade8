"""Secrets at the users' paths."""

import json

import pytest

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.redact_json_paths import in_json_paths
from proxy_policies.capture.secrets.rules import parse_rules

DOCUMENT = '{"user": {"name": "Jane", "on": true}, "ids": [7, null]}'
CASES = {
    "no path": ((), DOCUMENT),
    "nothing there": (("$.mail",), DOCUMENT),
    "a text": (("$.user.name",), '{"user": {"name": "<Jane>", "on": true}, "ids": [7, null]}'),
    "an object": (("$.user",), '{"user": "<{\\"name\\": \\"Jane\\", \\"on\\": true}>", "ids": [7, null]}'),
    "items": (("$.ids[*]",), '{"user": {"name": "Jane", "on": true}, "ids": ["<7>", null]}'),
    "a switch": (("$.user.on",), DOCUMENT),
    "the whole": (("$",), json.dumps(f"<{DOCUMENT}>")),
}


def redacted(text: str, *paths: str, hidden: str = "<{}>") -> str:
    rules = parse_rules([f"json:{path}" for path in paths])
    return in_json_paths(text, Decider(rules, lambda secret, rule: hidden.format(secret), is_response=True))


@pytest.mark.parametrize(("paths", "expected"), CASES.values(), ids=CASES)
def test_what_a_path_selects_is_replaced(paths: tuple[str, ...], expected: str) -> None:
    assert redacted(DOCUMENT, *paths) == expected


@pytest.mark.parametrize("paths", [("$.user", "$.user.name"), ("$.user.name", "$.user"), ("$..*",), ("$", "$.user")])
def test_a_path_within_another_one_is_replaced_with_it(paths: tuple[str, ...]) -> None:
    assert "Jane" not in redacted(DOCUMENT, *paths, hidden="~")


@pytest.mark.parametrize("text", ["", "no JSON", '{"user": '])
def test_another_text_stays(text: str) -> None:
    assert redacted(text, "$.user") == text
