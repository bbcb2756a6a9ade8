"""Secrets in lines of names and values: YAML, settings, logs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.redact_lines import _SPACED_COLON, _in_colon_pairs, in_named_lines, in_prose
from proxy_policies.capture.secrets.rules import RedactionRules

S = "Wz-zbpjD-jMLZkbxrVhyYQ"
DECIDER = Decider(RedactionRules(), lambda _secret, _rule: "gone", is_response=False)
YAML = {
    "name and value": "env:\n- name: DB_PASSWORD\n  value: @\n- name: CITY\n  value: Bonn\n",
    "between": '- name: "DB_PASSWORD"\n  kind: plain\n  deep:\n    n: 1\n  value: "@"\n',
    "an indented pair": "a:\n  - key: token\n    value: @\n",
    "flow": "db: {user: bob, password: @, token: @}\n",
    "below": "db:\n  password:\n    @\n  city: Bonn\n",
    "list": "tokens:\n- @\n- '@'\ncities:\n- Bonn\n",
    "indented list": "a:\n  tokens:\n    - @\n  cities: [Bonn]\n",
    "anchor": "password: &p @\nother: *p\n",
    "tag": "token: !vault @\n",
    "block": "a:\n  - password: |-\n      @\n  - city: Bonn\n",
    "last line": "a: b\ntokens:\n  - @",
}
PLAIN = {
    "mapping": "password:\n  min: 8\n  rule: @\ntoken:\n  - type: bearer\n",
    "scopes": "auth:\n- read:pets\n- write:pets\n",
    "alias": "password: *p\n",
    "other names": "- name: password_policy\n  value: @\n- name: city\n  value: @\n",
    "another item": "- name: password\n- value: @\n",
}


@pytest.mark.parametrize("name", YAML)
def test_secrets_in_yaml_go(name: str) -> None:
    text = YAML[name].replace("@", S)
    assert in_named_lines(text, DECIDER, Place.MEMBER) == text.replace(S, "gone")


@pytest.mark.parametrize("name", PLAIN)
def test_other_yaml_stays(name: str) -> None:
    text = PLAIN[name].replace("@", S)
    assert in_named_lines(text, DECIDER, Place.MEMBER) == text


@pytest.mark.parametrize(
    "text", [f"INFO login: password: {S}, ok", f"{{User:bob Password:{S}}}", f"Login(user=bob, token={S})"]
)
def test_what_is_random_in_a_log_goes(text: str) -> None:
    assert in_named_lines(text, DECIDER) == text.replace(S, "gone")


@pytest.mark.parametrize("text", ["password: must be long", "Session: keynote at 10:30", "token: https://a.test/x"])
def test_what_people_read_stays(text: str) -> None:
    assert in_named_lines(text, DECIDER) == text
    assert in_prose(f'{{"a": "{text}"}}', DECIDER) == f'{{"a": "{text}"}}'


def test_a_text_in_json_is_read_line_by_line() -> None:
    text = f'{{"manifest": "a: 1\\nn_token: {S}\\nb: 2", "x": "failed, password: {S}"}}'
    assert in_prose(text, DECIDER) == text.replace(S, "gone")


@given(st.lists(st.sampled_from([": ", '": ', ":\t", "'", '"', " ", ",", "token", S]), max_size=8).map("".join))
def test_any_name_before_a_colon_and_a_space_is_found(text: str) -> None:
    expected = _in_colon_pairs(text, DECIDER, Place.CODE, _SPACED_COLON) if ": " in text else text
    assert in_prose(text, DECIDER) == expected
