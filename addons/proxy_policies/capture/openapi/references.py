"""An OpenAPI document in a file, and its nodes, with references resolved."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from proxy_policies.capture.errors import CaptureError
from proxy_policies.options.files import read_bounded

MAX_SIZE = 64 << 20
"""Bytes of a document: the largest published ones have a quarter of it."""
MAX_REFERENCES = 32
"""References to references; more are taken for a cycle."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the document, and the pointer to it (RFC 6901)."""

    pointer: list[str]
    value: Any


@dataclass(frozen=True, slots=True)
class Document:
    """A document: its name for messages, and its content."""

    name: str
    root: Mapping[str, Any]

    def mapping(self, name: str) -> Mapping[str, Any]:
        """Return the top-level object of this name; an empty one if there is none."""
        value = self.root.get(name)
        return value if isinstance(value, Mapping) else {}

    def at(self, pointer: Sequence[str]) -> Node:
        """Return the node at a pointer, with references resolved. Raise CaptureError."""
        node = Node([], self.root)
        for name in pointer:
            node = self._resolve(Node([*node.pointer, name], _member(node.value, name)))
        return node

    def _resolve(self, node: Node) -> Node:
        for _ in range(MAX_REFERENCES):
            if not isinstance(node.value, Mapping) or "$ref" not in node.value:
                return node
            reference = str(node.value["$ref"])
            if not reference.startswith("#/"):
                raise CaptureError(f"{self.name}: {reference}: only references within the document are followed")
            pointer = [unquote(part).replace("~1", "/").replace("~0", "~") for part in reference[2:].split("/")]
            value: Any = self.root
            for name in pointer:
                value = _member(value, name)
            if value is None:
                raise CaptureError(f"{self.name}: {reference}: there is no such place")
            node = Node(pointer, value)
        raise CaptureError(f"{self.name}: references in a circle at #/{'/'.join(node.pointer)}")


def _member(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return value[int(name)] if name.isdecimal() and int(name) < len(value) else None
    return value.get(name) if isinstance(value, Mapping) else None


def read_document(path: Path) -> Document:
    """Return the document in a JSON or YAML file. Raise CaptureError with one line, and OSError."""
    data = read_bounded(path, MAX_SIZE, allow_pipe=True)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = _yaml(path, data)
    if not isinstance(value, dict):
        raise CaptureError(f"{path}: no OpenAPI document")
    return Document(path.name, _with_text_names(value))


def _yaml(path: Path, data: bytes) -> Any:
    from ruamel.yaml import YAML  # slow to import: only for YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(data)
    except (YAMLError, ValueError, RecursionError, UnicodeError) as error:
        first = str(error).partition("\n")[0]
        raise CaptureError(f"{path}: neither JSON nor YAML: {first}") from None


def _with_text_names(value: Any) -> Any:
    """Return a value whose names are all texts: YAML reads statuses as numbers."""
    if isinstance(value, dict):
        return {str(name): _with_text_names(item) for name, item in value.items()}
    return [_with_text_names(item) for item in value] if isinstance(value, list) else value
