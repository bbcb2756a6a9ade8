"""A JSON Schema (2020-12) inferred from example values: each of them is valid."""

import re
from collections.abc import Iterable
from typing import Any

from proxy_policies.capture.openapi.path_templates import is_id
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, is_number
from proxy_policies.capture.secrets.values import is_url

MAX_DEPTH = 60
"""Levels of objects and lists that are described; deeper values may be anything."""
_FORMATS = (
    ("date-time", re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")),  # RFC 3339
    ("date", re.compile(r"\d{4}-\d\d-\d\d")),
    ("uuid", re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")),
)
_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,14})")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})\.\d{1,15}")
_TYPES: dict[type, str] = {
    **{type(None): "null", bool: "boolean", int: "integer", float: "number"},
    **{str: "string", dict: "object", list: "array"},
}


class ValueShape:
    """Example values at one location: their types, members and items."""

    def __init__(self, depth: int = 0) -> None:
        self.count = 0
        self._depth = depth
        self._types: set[str] = set()
        self._formats: set[str] = set()
        self._objects = 0
        self._members: dict[str, ValueShape] = {}
        self._by_id: ValueShape | None = None  # for members whose names are ids
        self._items: ValueShape | None = None

    def add(self, value: Any) -> None:
        """Add an example."""
        self.count += 1
        self._types.add("integer" if is_number(value) else _TYPES[type(value)])
        if isinstance(value, str) and not PLACEHOLDER.search(value):
            self._formats.add(_format_of(value))
        elif isinstance(value, dict | list) and self._depth < MAX_DEPTH:
            self._add_members(value) if isinstance(value, dict) else self._add_items(value)

    def _add_members(self, value: dict[str, Any]) -> None:
        self._objects += 1
        for name, item in value.items():
            if is_id(name):
                self._by_id = self._by_id or ValueShape(self._depth + 1)
                self._by_id.add(item)
            else:
                self._members.setdefault(name, ValueShape(self._depth + 1)).add(item)

    def _add_items(self, value: Iterable[Any]) -> None:
        self._items = self._items or ValueShape(self._depth + 1)
        for item in value:
            self._items.add(item)

    def schema(self) -> dict[str, Any]:
        """Return the schema, which does not depend on the order of the examples; `{}` if there are none."""
        types = sorted(self._types - ({"integer"} if "number" in self._types else set()))
        if not types:
            return {}
        schema: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
        if "string" in types and len(self._formats) == 1 and (name := next(iter(self._formats))):
            schema["format"] = name
        if self._members:
            schema["properties"] = {name: shape.schema() for name, shape in sorted(self._members.items())}
            required = sorted(name for name, shape in self._members.items() if shape.count == self._objects)
            schema |= {"required": required} if required else {}
        if self._by_id is not None:
            schema["additionalProperties"] = self._by_id.schema()
        if self._items is not None:
            schema["items"] = self._items.schema()
        return schema


class TextShape:
    """Example texts of a parameter: whether all are numbers or booleans, and whether it is repeated."""

    def __init__(self) -> None:
        self.count = 0
        self._shape = ValueShape()
        self._is_text = False
        self._is_repeated = False

    def add(self, texts: Iterable[str]) -> None:
        """Add the values of the parameter in one message."""
        texts = list(texts)
        self.count += 1
        self._is_repeated |= len(texts) > 1
        for text in texts:
            value = _typed(text)
            self._is_text |= isinstance(value, str)
            self._shape.add(value)

    def schema(self) -> dict[str, Any]:
        """Return the schema."""
        schema = self._shape.schema()
        if self._is_text or isinstance(schema.get("type"), list):
            schema = {**schema, "type": "string"} if schema.get("type") == "string" else {"type": "string"}
        return {"type": "array", "items": schema} if self._is_repeated else schema


def _format_of(text: str) -> str:
    """Return the JSON Schema format of a text; empty if it has none."""
    found = next((name for name, pattern in _FORMATS if pattern.fullmatch(text)), "")
    return found or ("uri" if is_url(text) else "")


def _typed(text: str) -> Any:
    """Return a parameter's text as a boolean or number, if it is one."""
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text
