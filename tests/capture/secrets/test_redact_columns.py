"""Secrets in JSON that names its columns once."""

import json

import pytest

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.redact_json import in_json
from proxy_policies.capture.secrets.rules import RedactionRules

S = "Wz-zbpjD-jMLZkbxrVhyYQ"
TEXTS = {
    "rows": '{"columns": ["user", "password"], "rows": [["bob", "S"], ["joe", "S"]]}',
    "objects": '{"columns": [{"name": "id", "type": "a"}, {"type": "b", "name": "token"}], "data": [[1, "S"]]}',
    "one row": '{"names":["password","city"],"values":["S","Bonn"]}',
    "rows before": '{"data": [[[1, 2], "S"]], "headers": ["a", "token"]}',
    "series": '{"series": [{"columns": ["time", "token"], "values": [["2026-11-28", "S"], [null, null]]}]}',
    "records": '{"columns": ["a", "token"], "data": [{"row": [{"x": "y"}, "S"], "meta": [null, "z"]}]}',
    "two tables": '[{"fields": ["token"], "rows": [["S"]]}, {"fields": ["city"], "rows": [["Bonn"]]}]',
    "cut": '{"columns": ["user", "password"], "rows": [["bob", "S',
    "plain cells": '{"columns": ["token", "token_type"], "rows": [["2026-11-28", "S"], ["true", "bearer"]]}',
    "other names": '{"required": ["password", "email"], "data": ["a", "b"], "fields": ["password_hint"]}',
    "no rows": '{"columns": ["user", "password"], "values": 5}',
}  # fmt: skip
KEPT = ("plain cells", "other names", "no rows")


@pytest.mark.parametrize("name", TEXTS)
def test_cells_of_columns_that_are_called_as_secrets_are_go(name: str) -> None:
    text = TEXTS[name].replace("S", S)
    decider = Decider(RedactionRules(), lambda *_: "#", is_response=False)
    expected = text if name in KEPT else text.replace(S, "#")
    assert in_json(text, decider) == expected


def test_a_cell_is_written_as_it_was_unless_it_is_a_secret() -> None:
    text = json.dumps({"columns": ["city", "password"], "rows": [['Köln \\ "a"', 'a"b\\c'], ["ß", ""]]})
    decider = Decider(RedactionRules(), lambda *_: "#", is_response=False)
    assert in_json(text, decider) == text.replace(json.dumps('a"b\\c'), '"#"')
