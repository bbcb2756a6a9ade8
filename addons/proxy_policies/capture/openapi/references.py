"""An OpenAPI document read from a file, and its places, behind the references that stand there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from proxy_policies.capture.errors import CaptureError

MOST_REFERENCES = 32
"""References one after the other; more are a circle."""


@dataclass(frozen=True, slots=True)
class Place:
    """A value of the document, and where it stands."""

    pointer: list[str]
    value: Any


@dataclass(frozen=True, slots=True)
class Document:
    """A document: its name for messages, and its content."""

    name: str
    root: Mapping[str, Any]

    def mapping(self, name: str) -> Mapping[str, Any]:
        """Return the object of this name at the top; an empty one when there is none."""
        value = self.root.get(name)
        return value if isinstance(value, Mapping) else {}

    def at(self, pointer: Sequence[str]) -> Place:
        """Return what is at a place; where a reference stands, what it refers to. Raises CaptureError."""
        place = Place([], self.root)
        for name in pointer:
            place = self._behind(Place([*place.pointer, name], _member(place.value, name)))
        return place

    def _behind(self, place: Place) -> Place:
        for _ in range(MOST_REFERENCES):
            if not isinstance(place.value, Mapping) or "$ref" not in place.value:
                return place
            reference = str(place.value["$ref"])
            if not reference.startswith("#/"):
                raise CaptureError(f"{self.name}: {reference}: only references within the document are followed")
            pointer = [unquote(part).replace("~1", "/").replace("~0", "~") for part in reference[2:].split("/")]
            value: Any = self.root
            for name in pointer:
                value = _member(value, name)
            if value is None:
                raise CaptureError(f"{self.name}: {reference}: there is no such place")
            place = Place(pointer, value)
        raise CaptureError(f"{self.name}: references in a circle at #/{'/'.join(place.pointer)}")


def _member(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return value[int(name)] if name.isdecimal() and int(name) < len(value) else None
    return value.get(name) if isinstance(value, Mapping) else None


def read_document(path: Path) -> Document:
    """Return the document in a JSON or YAML file. Raises CaptureError with one line, and OSError."""
    data = path.read_bytes()
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
    """Return a document whose names are texts: YAML reads the statuses among them as numbers."""
    if isinstance(value, dict):
        return {str(name): _with_text_names(item) for name, item in value.items()}
    return [_with_text_names(item) for item in value] if isinstance(value, list) else value
