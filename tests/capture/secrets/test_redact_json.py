"""Secrets in JSON: exactly their characters are replaced, in whole documents and in cut ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.names import Grade, grade
from proxy_policies.capture.secrets.redact_json import _MEMBER, _names_in, in_json
from proxy_policies.capture.secrets.redact_pairs import is_value
from proxy_policies.capture.secrets.rules import RedactionRules

S = "Wz-zbpjD-jMLZkbxrVhyYQ"
TEXTS = {
    "spaces stay": ('{ "token"  :\n "S" , "a":[1 ,2]}', '{ "token"  :\n "#" , "a":[1 ,2]}'),
    "escapes": (r'{"password":"a\"b\u0041\\","x":1}', '{"password":"#","x":1}'),
    "escaped name": (r'{"pass\u0077ord":"S"}', r'{"pass\u0077ord":"#"}'),
    "number": ('{"pin": 4711, "n": 4711}', '{"pin": "#", "n": 4711}'),
    "numbers": ('{"pin": [4711 ,4711], "n": [4711]}', '{"pin": ["#" ,"#"], "n": [4711]}'),
    "numbers of an object": ('{"pin": {"value": 4711, "n": 4711}}', '{"pin": {"value": "#", "n": 4711}}'),
    "numbers inside": ('{"pin": {"x": {"pin": [4711]}, "at": 4711}}', '{"pin": {"x": {"pin": ["#"]}, "at": 4711}}'),
    "counts": ('{"tokens": {"value": 471147}}', '{"tokens": {"value": 471147}}'),
    "ids": ('{"token_ids": [471147]}', '{"token_ids": [471147]}'),
    "null and true": ('{"token": null, "session": true}', '{"token": null, "session": true}'),
    "list": ('{"tokens": ["S", ["S"], null], "x": "S"}', '{"tokens": ["#", ["#"], null], "x": "S"}'),
    "list of objects": ('{"tokens": [{"value": "S"}, "S"]}', '{"tokens": [{"value": "#"}, "#"]}'),
    "object": ('{"credentials": {"user": "joe", "key": "S"}}', '{"credentials": {"user": "joe", "key": "#"}}'),
    "in a string": (r'{"body": "{\"token\": \"S\", \"a\": 1}"}', r'{"body": "{\"token\": \"#\", \"a\": 1}"}'),
    "name and value": ('[{"name": "X-Api-Key", "value": "S"}]', '[{"name": "X-Api-Key", "value": "#"}]'),
    "value and name": ('[{"value": "S", "name": "token"}]', '[{"value": "#", "name": "token"}]'),
    "cut in the value": ('{"a": 1, "token": "Wz-zb', '{"a": 1, "token": "#'),
    "cut in a list": ('{"tokens": ["S", "Wz-zb', '{"tokens": ["#", "#'),
    "harmless name": ('{"token_type": "S"}', '{"token_type": "S"}'),
    "no JSON": ("token: S", "token: S"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), TEXTS.values(), ids=TEXTS)
def test_only_the_secret_is_replaced(before: str, after: str) -> None:
    decider = Decider(RedactionRules(), lambda *_: "#", is_response=False)
    assert in_json(before.replace("S", S), decider) == after.replace("S", S)


PIECES = st.lists(st.sampled_from(['"', '":', '" :', ":", ", ", "\n", "\\", "é", "token", "value"]), max_size=12)


@given(PIECES.map(lambda pieces: "".join(pieces).replace('\\"', "")))
def test_the_fast_search_misses_no_name(text: str) -> None:
    names = [found["name"] for found in _MEMBER.finditer(text)]
    judged = _names_in(text, _MEMBER, Decider(RedactionRules(), lambda *_: "#", is_response=False))
    assert bool(judged.secret) >= any("token" in name and grade(name) is not Grade.NONE for name in names)
    assert judged.have_values >= any(map(is_value, names))
