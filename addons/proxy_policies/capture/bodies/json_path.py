"""JSONPath (RFC 9535): queries that select parts of a body, and normalized paths (section 2.7), written and read."""

import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from proxy_policies.lazy_imports import lazy_imports

with lazy_imports():
    import jsonpath

type Path = jsonpath.JSONPath | jsonpath.CompoundJSONPath

type PathStep = str | int

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]|\[(\"(?:[^\"\\]|\\.)*\")\]")


def compile_path(path: str) -> Path:
    """Compile a JSONPath. Raise ValueError."""
    try:
        return jsonpath.compile(path)
    except jsonpath.JSONPathError as error:
        raise ValueError(f"invalid JSONPath {path!r}: {str(error).splitlines()[0]}") from None


def write(steps: Sequence[PathStep]) -> str:
    """Return the normalized path of these steps: `$.items[0]["odd name"]`."""
    return "$" + "".join(_write_step(step) for step in steps)


def _write_step(step: PathStep) -> str:
    return f"[{step}]" if isinstance(step, int) else _write_name(step)


@lru_cache(4096)  # the documents of an API have the same names
def _write_name(name: str) -> str:
    return f".{name}" if _NAME.match(name) else f"[{json.dumps(name)}]"


def read(path: str) -> list[PathStep]:
    """Return the steps of a path written by `write`. Raise ValueError."""
    steps: list[PathStep] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise ValueError(f"{path!r} is not a valid normalized path")
        steps.append(found[1] or (int(found[2]) if found[2] else json.loads(found[3])))
        at = found.end()
    return steps


def leaves(value: Any, steps: tuple[PathStep, ...] = ()) -> Iterator[tuple[tuple[PathStep, ...], Any]]:
    """Yield the steps and the value of everything in a document that is neither an object nor a list."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*steps, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*steps, index))
    else:
        yield steps, value


def written_leaves(document: Any) -> list[tuple[str, str, Any]]:
    """Return the normalized path of each leaf, the last name in it, empty without one, and the leaf's value."""
    found: list[tuple[str, str, Any]] = []

    def add(value: Any, path: str, name: str) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                add(item, path + _write_name(key), key)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                add(item, f"{path}[{index}]", name)
        else:
            found.append((path, name, value))

    add(document, "$", "")
    return found


def put(document: Any, steps: Sequence[PathStep], value: Any) -> bool:
    """Set the value at these steps of the document in place; return False if there is no such path."""
    inner = document
    try:
        for step in steps[:-1]:
            inner = inner[step]
        inner[steps[-1]] = value
    except (KeyError, IndexError, TypeError):
        return False
    return True
