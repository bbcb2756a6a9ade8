"""JSON held to the schemas of a document."""

from typing import Any

import pytest

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.openapi.json_schema import Schemas
from proxy_policies.capture.openapi.references import Document

SECRET = "secret_0123456789abcdef_number008"


def problems(schema: Any, value: Any, version: str = "3.1.0") -> list[str]:
    root = {"openapi": version, "x": {"a/b": schema}, "components": {"schemas": {"Id": {"type": "integer"}}}}
    found = Schemas(Document("api.json", root)).problems(["x", "a/b"], value)
    return [f"{where}: {expected}, {there}" for where, expected, there in found]


CASES: dict[str, tuple[Any, Any, list[str]]] = {
    "fits": ({"type": "integer"}, 1, []),
    "type": ({"type": "integer"}, "1", ["openapi:$: type: integer, 1"]),
    "types": ({"type": ["integer", "null"]}, "1", ["openapi:$: type: integer, null, 1"]),
    "member": (
        {"type": "object", "required": ["a", "b"]},
        {"a": 1},
        ["openapi:$: the members 'a', 'b', without 'b'"],
    ),
    "reference": ({"items": {"$ref": "#/components/schemas/Id"}}, [1, "2"], ["openapi:$[1]: type: integer, 2"]),
    "any of": ({"anyOf": [{"type": "integer"}, {"maxLength": 1}]}, "ab", ["openapi:$: what anyOf says, ab"]),
    "enum": ({"enum": ["a", "b"]}, "c", ["openapi:$: enum: a, b, c"]),
    "secret": ({"type": "integer"}, SECRET, []),
    "secret, one of several": ({"oneOf": [{"type": "integer"}, {"type": "null"}]}, SECRET, []),
    "secret inside": ({"properties": {"pin": {"type": "integer"}}}, {"pin": SECRET}, []),
    "beside a secret": (
        {"properties": {"pin": {"type": "integer"}, "n": {"type": "integer"}}},
        {"pin": SECRET, "n": "x"},
        ["openapi:$.n: type: integer, x"],
    ),
}


@pytest.mark.parametrize(("schema", "value", "expected"), CASES.values(), ids=CASES)
def test_what_does_not_fit(schema: Any, value: Any, expected: list[str]) -> None:
    assert problems(schema, value) == expected


OLD: dict[str, tuple[Any, Any, bool]] = {
    "nullable": ({"type": "string", "nullable": True}, None, True),
    "nullable, another": ({"type": "string", "nullable": True}, 1, False),
    "not nullable": ({"type": "string", "nullable": False}, None, False),
    "exclusive": ({"minimum": 1, "exclusiveMinimum": True}, 1, False),
    "inclusive": ({"minimum": 1, "exclusiveMinimum": False}, 1, True),
}


@pytest.mark.parametrize(("schema", "value", "fits"), OLD.values(), ids=OLD)
def test_schemas_of_openapi_3_0_are_understood(schema: Any, value: Any, fits: bool) -> None:
    assert (not problems(schema, value, "3.0.3")) is fits


@pytest.mark.parametrize(
    "schema", [{"$ref": "#/nowhere"}, {"type": "strin"}, {"pattern": "("}, {"$ref": "http://a.test/x"}]
)
def test_a_wrong_schema_is_one_line(schema: Any) -> None:
    with pytest.raises(CaptureError, match=r"^api\.json: #/x/a/b: ") as error:
        problems(schema, "a")
    assert "\n" not in str(error.value)
