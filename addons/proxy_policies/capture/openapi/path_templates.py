"""Paths with parameters for ids: `/orders/17/items/4` is `/orders/{orderId}/items/{itemId}`."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from proxy_policies.capture import dynamic_values
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER
from proxy_policies.capture.secrets.values import is_random

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_VERSION = re.compile(r"v\d+(?:\.\d+)*", re.IGNORECASE)
_PLURALS = (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ss", "ss"), ("us", "us"), ("s", ""))
"""Endings of plurals, and of their singulars; the first that matches is used."""


@dataclass(frozen=True, slots=True)
class TemplatedPath:
    """A path template of OpenAPI, and the values of its parameters by name."""

    template: str
    values: tuple[tuple[str, str], ...] = ()


def template_of(path: str) -> TemplatedPath:
    """Return the path with a parameter for each segment that is an id."""
    segments: list[str] = []
    values: dict[str, str] = {}
    for segment in (path or "/").split("/"):
        text = unquote(segment)
        if is_id(text):
            name = _unused(_name_after(segments[-1] if segments else ""), values)
            values[name] = text
            segments.append(f"{{{name}}}")
        else:
            segments.append(segment.replace("{", "%7B").replace("}", "%7D"))
    return TemplatedPath("/".join(segments), tuple(values.items()))


def is_id(text: str) -> bool:
    """Return whether a text is an id rather than a name: a number, a UUID, a hash or a secret."""
    return bool(text.isdigit() or PLACEHOLDER.search(text) or dynamic_values.dynamic_kind(text) or is_random(text))


def _name_after(segment: str) -> str:
    """Return the name of a parameter after the previous segment: `orderId` after `orders`."""
    is_name = not segment.startswith("{") and not _VERSION.fullmatch(segment)
    return camel_case(f"{_singular(unquote(segment))} id") if is_name else "id"


def _singular(word: str) -> str:
    for ending, singular in _PLURALS:
        if word.lower().endswith(ending) and len(word) > len(ending) + 1:
            return word[: len(word) - len(ending)] + singular
    return word


def _unused(name: str, names: dict[str, str]) -> str:
    """Return the name, with a number if it is already used."""
    chosen, number = name, 2
    while chosen in names:
        chosen, number = f"{name}{number}", number + 1
    return chosen


def camel_case(text: str) -> str:
    """Return the words of a text in camel case: `orderId`; empty if there are none."""
    words = [word.lower() for word in _WORD.findall(text)]
    return "".join([*words[:1], *(word.capitalize() for word in words[1:])])
