"""Checking JSON against the schemas of an OpenAPI document, with `jsonschema`, an optional package.

The value of a placeholder is unknown, so it matches every schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from proxy_policies.capture.bodies import json_path
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.openapi.references import Document
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER
from proxy_policies.start_up import requirements

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

BASE = "urn:openapi"
MAX_PROBLEMS = 20
"""Problems reported of one response."""


class Schemas:
    """The schemas of a document. Raises CaptureError if `jsonschema` is not installed."""

    def __init__(self, document: Document) -> None:
        try:
            from jsonschema import Draft202012Validator
            from referencing import Registry, Resource
            from referencing.jsonschema import DRAFT202012
        except ImportError:
            command = requirements.install_command(["jsonschema"])
            raise CaptureError(f"--openapi needs the package jsonschema: {command}") from None
        is_old = str(document.root.get("openapi", "")).startswith("3.0")
        content = _as_json_schema(document.root) if is_old else document.root
        resource = Resource.from_contents(content, default_specification=DRAFT202012)
        registry = Registry().with_resource(BASE, resource)
        self._name = document.name
        self._validator: Callable[[Mapping[str, Any]], Any] = lambda schema: Draft202012Validator(
            schema, registry=registry
        )

    def problems(self, pointer: Sequence[str], value: Any) -> Iterator[tuple[str, Any, Any]]:
        """Yield location, expectation and value for each violation of the schema at this pointer.

        Raise CaptureError for an invalid schema.
        """
        parts = [part.replace("~", "~0").replace("/", "~1").replace("%", "%25") for part in pointer]
        validator = self._validator({"$ref": f"{BASE}#/{'/'.join(parts)}"})
        count = 0
        try:
            for error in validator.iter_errors(value):
                if not _concerns_placeholder(error):
                    yield _as_problem(error)
                    count += 1
                if count >= MAX_PROBLEMS:
                    return
        except Exception as error:  # of many kinds, for example for a broken reference, or an invalid pattern or type
            text = str(error).partition("\n")[0][:200]
            raise CaptureError(f"{self._name}: #/{'/'.join(pointer)}: {text}") from None


def _as_problem(error: ValidationError) -> tuple[str, Any, Any]:
    steps = tuple(error.absolute_path)
    where = f"openapi:{json_path.write(steps)}"
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return where, f"the members {', '.join(map(repr, error.validator_value))}", f"without {missing[0]!r}"
    expected = error.validator_value if not isinstance(error.validator_value, Mapping | list) else "it"
    rule = f"{error.validator}: {expected}" if expected != "it" else f"what {error.validator} says"
    if isinstance(error.validator_value, list) and error.validator in ("type", "enum"):
        rule = f"{error.validator}: {', '.join(map(str, error.validator_value))}"
    return where, rule, error.instance


def _concerns_placeholder(error: ValidationError) -> bool:
    """Return whether an error concerns a redacted value."""
    if isinstance(error.instance, str) and PLACEHOLDER.search(error.instance):
        return True
    branches: dict[Any, list[bool]] = {}
    for inner in error.context or ():
        branches.setdefault(next(iter(inner.relative_schema_path), None), []).append(_concerns_placeholder(inner))
    return any(map(all, branches.values()))


def _as_json_schema(value: Any) -> Any:
    """Return a document of OpenAPI 3.0 with its schemas converted to JSON Schema 2020-12."""
    if isinstance(value, list):
        return [_as_json_schema(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    found = {name: _as_json_schema(item) for name, item in value.items()}
    for name, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(found.get(name), bool):
            exclusive = found.pop(name)
            if exclusive and limit in found:
                found[name] = found.pop(limit)
    return _or_null(found) if found.pop("nullable", False) is True else found


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that null matches, too."""
    return {"anyOf": [schema, {"type": "null"}]}
