"""Checks the types of a new message's attributes faster. Tested with mitmproxy 12.2."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable
from typing import Any

from mitmproxy.http import MessageData

from proxy_policies.patch import Replacement

Check = tuple[str, tuple[type, ...]]
"""An attribute's name, and its allowed types."""


def quick_checks(original: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a check by isinstance; if that fails, the original decides."""

    def __post_init__(message: Any) -> None:
        for name, allowed in checks_of(type(message)):  # type: ignore[arg-type]
            if not isinstance(getattr(message, name), allowed):
                original(message)
                return

    return __post_init__


@functools.cache
def checks_of(owner: Any) -> tuple[Check, ...]:
    """Return the checks for a dataclass; for an unknown annotation no type is allowed, so that the original decides."""
    return tuple((field.name, allowed_types(field.type)) for field in dataclasses.fields(owner))


def allowed_types(annotation: object) -> tuple[type, ...]:
    """Return the classes for isinstance in an annotation such as `A | None`; an int is accepted as a float."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return tuple(kind for part in typing.get_args(annotation) for kind in allowed_types(part))
    if annotation is float:
        return float, int
    return (annotation,) if isinstance(annotation, type) and typing.get_origin(annotation) is None else ()


CHECKS = Replacement(
    owner=MessageData,
    attribute="__post_init__",
    wrap=quick_checks,
    seen_on="12.2",
    why="a tenth of a request's time goes into reading type annotations",
)
