"""Names of secrets and their values in two members of JSON, whatever the two are called."""

import json

import pytest

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.redact_pairs import in_pairs, is_name, is_value
from proxy_policies.capture.secrets.rules import RedactionRules

S = "Wz-zbpjD-jMLZkbxrVhyYQ"
BETWEEN = '"type": "text", "no": null, "list": [{"text": "Bonn"}], "deep": {"value": "Bonn"}, '
SECRET = {
    "name first": '{"fieldName": "Password", ' + BETWEEN + '"defaultValue": "S"}',
    "value first": '{"text": "S", ' + BETWEEN + '"label": "API key"}',
    "number": '[{"title": "city", "value": 1}, {"title": "password", "value": "S"}]',
    "list": '{"key": "token", "values": ["S", "S"]}',
    "object": '{"key": "password", "value": {"stringValue": "S", "n": 1}}',
    "two": '{"name": "password", "label": "Your password", "value": "S"}',
    "lines": '{"k": "password", "v": "S"}\n{"k": "city", "v": "Bonn"}\n',
    "cut": '[{"k": "city", "v": "Bonn"}, {"k": "password", "v": "S',
}
PLAIN = {
    "what people read": '[{"id": "password", "text": "Your password is too short"}]',
    "labels": '{"key": "pin", "title": "PIN", "text": "PIN"}',
    "kinds": '{"name": "token", "value": "bearer"}',
    "other names": '{"name": "password_policy", "value": "S"}',
    "of another object": '{"name": "password", "in": {"value": "S"}, "or": [{"text": "S"}]}',
    "not beside": '[{"name": "password"}, {"value": "S"}]',
    "a list of names": '{"name": ["password"], "value": "S"}',
}


def replaced(text: str) -> str:
    return in_pairs(text, Decider(RedactionRules(), lambda _secret, _rule: "gone", is_response=True))


@pytest.mark.parametrize("name", SECRET)
def test_what_stands_beside_the_name_of_a_secret_goes(name: str) -> None:
    text = SECRET[name].replace('"S', f'"{S}')
    assert replaced(text) == text.replace(S, "gone")


@pytest.mark.parametrize("name", PLAIN)
def test_everything_else_stays(name: str) -> None:
    text = PLAIN[name].replace('"S"', json.dumps(S))
    assert replaced(text) == text


def test_what_members_are_called_says_what_they_have() -> None:
    assert all(map(is_name, ("name", "fieldName", "header_key", "questionId", "LABEL", "Id")))
    assert all(map(is_value, ("value", "newValue", "default_value", "stringValue", "Text", "valueString")))
    assert not any(map(is_name, ("names", "type", "", "identity")))
    assert not any(map(is_value, ("valuePointer", "context", "", "type")))
