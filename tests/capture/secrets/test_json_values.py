"""Values in JSON: what a string, a number, a list and an object become under the name of a secret."""

import pytest

from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.json_values import in_value, plain_text
from proxy_policies.capture.secrets.rules import RedactionRules


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"hunter2"', '"gone"'),
        ('"hunt', '"gone'),
        ("123456", '"gone"'),
        ("true", ""),
        ('["hunter2", null]', '["gone", null]'),
        ('{"value": "hunter2", "city": "Bonn"}', '{"value": "gone", "city": "Bonn"}'),
    ],
)
def test_a_value_goes_and_what_is_around_it_stays(value: str, expected: str) -> None:
    decider = Decider(RedactionRules(), lambda _secret, _rule: "gone", is_response=False)
    pieces, end = in_value(value, 0, "", "password", decider, Place.MEMBER)
    assert "".join(pieces) == expected
    assert end == (len(value) if expected else 0)


@pytest.mark.parametrize(("source", "text"), [("a\\u0062c", "abc"), ("a\\", "a\\"), ('\\"', '"')])
def test_a_string_is_read_as_far_as_it_can_be(source: str, text: str) -> None:
    assert plain_text(source, 0) == text
