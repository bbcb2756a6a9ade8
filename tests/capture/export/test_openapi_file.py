"""An OpenAPI document is the same in JSON and in YAML."""

import json

from ruamel.yaml import YAML

from proxy_policies.capture.export.openapi_file import openapi_json, openapi_yaml
from proxy_policies.capture.model import Body, Entry, Request, Response, Times

JSON = (("Content-Type", "application/json"),)
ENTRIES = [
    Entry(
        Request("GET", f"http://a.test/{path}"),
        Response(200, "", JSON, Body(b'{"no": "x", "\xc3\xa9": 1}')),
        Times(1.0),
    )
    for path in ("on", "0x10", "é", "a:b", "y")
]


def test_yaml_reads_as_json_does() -> None:
    text = "".join(openapi_yaml(ENTRIES))
    assert YAML(typ="safe", pure=True).load(text) == json.loads("".join(openapi_json(ENTRIES)))
    assert "'200':" in text
