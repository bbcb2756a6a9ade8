"""Parsing of the JSON in messages, whose documents are then compared and searched by recursion. Pure."""

import json
from collections.abc import Callable
from typing import Any

MAX_DEPTH = 200
"""Levels of a document: comparing takes two calls for each, and Python permits a thousand."""


def document_of(text: str | bytes, parse_float: Callable[[str], Any] | None = None) -> Any:
    """Return the document of a JSON text. Raise ValueError, also if it has more than MAX_DEPTH levels."""
    try:
        document = json.loads(text, parse_float=parse_float)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if len(text) > MAX_DEPTH and _is_too_deep(document):
        raise ValueError("nested too deeply")
    return document


def _is_too_deep(document: Any) -> bool:
    level = [document]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for value in level:
            inner += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        level = inner
        if not level:
            return False
    return True
