"""Schemas merged from several values fit each of them, in whatever order they came."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from proxy_policies.capture.openapi.value_shape import MAX_DEPTH, TextShape, ValueShape

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "17", "é"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def schema_of(*values: Any) -> dict[str, Any]:
    shape = ValueShape()
    for value in values:
        shape.add(value)
    return shape.schema()


@settings(max_examples=40)
@given(st.lists(JSON, max_size=5), st.randoms(use_true_random=False))
def test_it_fits_all_values_in_any_order(values: list[Any], draw: random.Random) -> None:
    schema = schema_of(*values)
    Draft202012Validator.check_schema(schema)
    for value in values:
        Draft202012Validator(schema).validate(value)
    shuffled = draw.sample(values, len(values))
    assert schema_of(*shuffled) == schema


MERGED: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "null": (["a", None], {"type": ["null", "string"]}),
    "numbers": ([1, 1.5], {"type": "number"}),
    "bool": ([True, 1], {"type": ["boolean", "integer"]}),
    "date": (["2026-11-28"], {"type": "string", "format": "date"}),
    "dates and others": (["2026-11-28", "soon"], {"type": "string"}),
    "a secret says no format": (
        ["2026-11-28", "secret_0123456789abcdef_date016"],
        {"type": "string", "format": "date"},
    ),
    "a secret number": ([1, "secret_0123456789abcdef_num008"], {"type": "integer"}),
    "time": (["2026-11-28T10:00:00.5Z"], {"type": "string", "format": "date-time"}),
    "optional": (
        [{"a": 1, "b": 2}, {"a": 1}],
        {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a"]},
    ),
    "map": ([{"17": "x", "18": "y"}], {"type": "object", "additionalProperties": {"type": "string"}}),
    "list": ([[], [1]], {"type": "array", "items": {"type": "integer"}}),
    "empty list": ([[]], {"type": "array", "items": {}}),
}


@pytest.mark.parametrize(("values", "schema"), MERGED.values(), ids=MERGED)
def test_what_is_merged(values: list[Any], schema: dict[str, Any]) -> None:
    assert schema_of(*values) == schema


def test_what_is_nested_too_deep_may_be_anything() -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH * 3):
        value = [value]
    Draft202012Validator(schema_of(value)).validate(value)


TEXTS: dict[str, tuple[list[list[str]], dict[str, Any]]] = {
    "integers": ([["1"], ["2"]], {"type": "integer"}),
    "zeros before": ([["007"]], {"type": "string"}),
    "numbers": ([["1"], ["2.5"]], {"type": "number"}),
    "truth": ([["true"], ["false"]], {"type": "boolean"}),
    "mixed": ([["1"], ["a"]], {"type": "string"}),
    "truth and numbers": ([["true"], ["1"]], {"type": "string"}),
    "repeated": ([["1"], ["1", "2"]], {"type": "array", "items": {"type": "integer"}}),
    "uuid": ([["3f2504e0-4f89-41d3-9a0c-0305e82c3301"]], {"type": "string", "format": "uuid"}),
}


@pytest.mark.parametrize(("texts", "schema"), TEXTS.values(), ids=TEXTS)
def test_what_texts_say(texts: list[list[str]], schema: dict[str, Any]) -> None:
    shape = TextShape()
    for several in texts:
        shape.add(several)
    assert shape.schema() == schema
