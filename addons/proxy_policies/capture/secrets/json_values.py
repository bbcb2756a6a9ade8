"""The value at a place in JSON, as it is to be when its name makes it a secret: a string, a number, a list, an object.

Every other character stays as it was; a value that is cut is read as far as it goes.
"""

import json
import re

from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.names import Grade

NAME = r'(?P<name>(?!\\*")[^"\\\n]{0,200}+(?:\\u[0-9a-fA-F]{4}[^"\\\n]{0,200}+){0,30}+'
PLAIN_VALUE = r'(?:(?=(?P=slashes)"(?P<plain>[^"\\]*+)(?P=slashes)"))?'
"""A value that is a text without escapes, as nearly all are: of those that are the same it is decided once."""
ESCAPED_MEMBER = re.compile(rf'(?P<slashes>\\{{0,127}})"{NAME})(?P=slashes)"\s*:\s*{PLAIN_VALUE}')
"""127 backslashes are seven strings within each other; more would be counted anew from each one."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")
_SKIPPED = re.compile(r'[^"\\\[\]{}]+')
_INNER = re.compile(r'(?:[^"\\]|\\.)*', re.DOTALL)
_VALUE_NAMES = ("value", "values", "val", "content", "data", "v", "rhs", "newvalue", "new_value")
_COMPARISONS = ("eq", "$eq", "_eq", "equals", "is", "exact", "in", "$in", "set", "$set", "new", "old", "current")
_TEXTS = ("text", "#text", "_text", "$t", "_", "$", "raw", "plain", "string", "str")
_INHERITING = frozenset((*_VALUE_NAMES, *_COMPARISONS, *_TEXTS))
"""Members that are what is around them: comparisons in queries, texts of XML that was made JSON."""


def in_value(text: str, at: int, slashes: str, name: str, decider: Decider, place: Place) -> tuple[list[str], int]:
    """Return the value at this place as it is to be, in pieces, and where it ends."""
    if text.startswith(f'{slashes}"', at):
        return _string(text, at, slashes, name, decider, place, Grade.NONE)
    if text[at : at + 1] in ("{", "["):
        return _container(text, at, slashes, name, decider)
    return _number(text, at, slashes, name, decider)


def _number(text: str, at: int, slashes: str, name: str, decider: Decider) -> tuple[list[str], int]:
    """Return a secret number as a text, quotes and all."""
    number = _NUMBER.match(text, at)
    replaced = decider.number(name, number[0]) if number else None
    return ([f'{slashes}"{replaced}{slashes}"'], number.end()) if number and replaced else ([], at)


def _string(
    text: str, at: int, slashes: str, name: str, decider: Decider, place: Place, minimum: Grade
) -> tuple[list[str], int]:
    """Return a string with its quotes; one that is cut goes to the end of the text."""
    begin = at + len(slashes) + 1
    end = _end_of_string(text, begin, slashes)
    source = text[begin:end]
    value = plain_text(source, len(slashes))
    replaced = decider.replace(name, value, place, minimum)
    after = min(len(text), end + len(slashes) + 1)
    return [text[at:begin], source if replaced == value else replaced, text[end:after]], after


def _end_of_string(text: str, begin: int, slashes: str) -> int:
    """Return where the quote is that ends a string: one with just as many backslashes as the first had."""
    if not slashes:
        found = _INNER.match(text, begin)
        return found.end() if found else begin
    ended = re.compile(rf'(?<!\\)\\{{{len(slashes)}}}"').search(text, begin)
    return ended.start() if ended else len(text)


def plain_text(source: str, slashes: int) -> str:
    """Return the text that a JSON string stands for; with backslashes before its quotes it is within other strings."""
    for _ in range((slashes + 1).bit_length()):
        if "\\" not in source:
            return source
        try:
            source = str(json.loads(f'"{source}"', strict=False))
        except ValueError:
            return source
    return source


def _container(text: str, at: int, slashes: str, name: str, decider: Decider) -> tuple[list[str], int]:
    """Return an object or a list under a secret name: what is in it is secret, but for what its own names say."""
    pieces: list[str] = []
    depth, member, start = 0, name, at
    while at < len(text):
        found = ESCAPED_MEMBER.match(text, at)
        if found:
            member = plain_text(found["name"], 0)
            value, end = _number(text, found.end(), slashes, member, decider)
            if depth == 1 and (key := decider.replace(name, member, Place.CODE)) != member:
                pieces += (text[start : found.start("name")], key)
                start = found.end("name")
        elif text.startswith(f'{slashes}"', at):
            minimum = _inherited(name, member, decider)
            value, end = _string(text, at, slashes, member, decider, Place.MEMBER, minimum)
        else:
            depth += (text[at] in "{[") - (text[at] in "}]")
            if not depth:
                return [*pieces, text[start : at + 1]], at + 1
            at = _next_index(text, at)
            continue
        value_start = found.end() if found else at
        pieces += (text[start:value_start], *value)
        start = at = end
    return [*pieces, text[start:]], len(text)


def _next_index(text: str, at: int) -> int:
    found = _SKIPPED.match(text, at + 1)
    return found.end() if found else at + 1


def _inherited(name: str, member: str, decider: Decider) -> Grade:
    """Return what the name of a container says of a member: all of a list's items and of a `value`, else perhaps."""
    if member == name or member.lower() in _INHERITING:
        return decider.grade(name, Place.MEMBER)
    return Grade.PERHAPS
