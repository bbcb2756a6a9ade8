"""Redact the value at an index in JSON by its name: a string, a number, a list or an object.

All other characters are unchanged; an incomplete value is read up to its end.
"""

import json
import re

from proxy_policies.capture.secrets.decider import Decider, Place, is_count
from proxy_policies.capture.secrets.names import Grade

NAME = r'(?P<name>(?!\\*")[^"\\\n]{0,200}+(?:\\u[0-9a-fA-F]{4}[^"\\\n]{0,200}+){0,30}+'
PLAIN_VALUE = r'(?:(?=(?P=slashes)"(?P<plain>[^"\\]*+)(?P=slashes)"))?'
"""A string without escapes, as nearly all values are; equal ones are decided once."""
ESCAPED_MEMBER = re.compile(rf'(?P<slashes>\\{{0,127}})"{NAME})(?P=slashes)"\s*:\s*{PLAIN_VALUE}')
"""127 backslashes are seven levels of nested strings; without a limit, matching would take quadratic time."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")
_NUMBER_LIST = re.compile(r"\[\s*+-?\d++(?:\s*+,\s*+-?\d++)*+\s*+\]")
_SKIPPED = re.compile(r'[^"\\\[\]{}]+')
_INNER = re.compile(r'(?:[^"\\]|\\.)*', re.DOTALL)
_VALUE_NAMES = ("value", "values", "val", "content", "data", "v", "rhs", "newvalue", "new_value")
_COMPARISONS = ("eq", "$eq", "_eq", "equals", "is", "exact", "in", "$in", "set", "$set", "new", "old", "current")
_TEXTS = ("text", "#text", "_text", "$t", "_", "$", "raw", "plain", "string", "str")
_INHERITING = frozenset((*_VALUE_NAMES, *_COMPARISONS, *_TEXTS))
"""Names of members that inherit the grade of their container: comparisons in queries, texts of XML as JSON."""


def in_value(text: str, at: int, slashes: str, name: str, decider: Decider, place: Place) -> tuple[list[str], int]:
    """Return the redacted value at `at` in pieces, and the index of its end."""
    if text.startswith(f'{slashes}"', at):
        return _string(text, at, slashes, name, decider, place, Grade.NONE)
    if text[at : at + 1] in ("{", "["):
        return _container(text, at, slashes, name, decider)
    return _number(text, at, slashes, name, decider)


def _number(
    text: str, at: int, slashes: str, name: str, decider: Decider, minimum: Grade = Grade.NONE
) -> tuple[list[str], int]:
    """Return the placeholder of a secret number with quotes, and the index of its end; no pieces for other numbers."""
    number = _NUMBER.match(text, at)
    replaced = decider.number(name, number[0], minimum) if number else None
    return ([f'{slashes}"{replaced}{slashes}"'], number.end()) if number and replaced else ([], at)


def _numbers(text: str, slashes: str, name: str, decider: Decider) -> str:
    """Return a list of numbers without those of passwords: other names are of ids, too, as of a model's tokens."""
    if decider.grade(name, Place.MEMBER) is not Grade.PASSWORD:
        return text
    return _NUMBER.sub(lambda found: "".join(_number(found[0], 0, slashes, name, decider)[0]) or found[0], text)


def _string(
    text: str, at: int, slashes: str, name: str, decider: Decider, place: Place, minimum: Grade
) -> tuple[list[str], int]:
    """Return a redacted string with its quotes, and the index of its end; an incomplete one ends with the text."""
    begin = at + len(slashes) + 1
    end = _end_of_string(text, begin, slashes)
    source = text[begin:end]
    value = plain_text(source, len(slashes))
    replaced = decider.replace(name, value, place, minimum)
    after = min(len(text), end + len(slashes) + 1)
    return [text[at:begin], source if replaced == value else replaced, text[end:after]], after


def _end_of_string(text: str, begin: int, slashes: str) -> int:
    """Return the index of a string's closing quote, which has as many backslashes as the opening one."""
    if not slashes:
        found = _INNER.match(text, begin)
        return found.end() if found else begin
    ended = re.compile(rf'(?<!\\)\\{{{len(slashes)}}}"').search(text, begin)
    return ended.start() if ended else len(text)


def plain_text(source: str, slashes: int) -> str:
    """Return the decoded text of a JSON string; `slashes` before its quotes mean that it is nested in other strings."""
    for _ in range((slashes + 1).bit_length()):
        if "\\" not in source:
            return source
        try:
            source = str(json.loads(f'"{source}"', strict=False))
        except ValueError:
            return source
    return source


def _container(text: str, at: int, slashes: str, name: str, decider: Decider) -> tuple[list[str], int]:
    """Return a redacted object or list of a secret name, and the index of its end; names of its members may decide."""
    pieces: list[str] = []
    depth, member, start = 0, name, at
    while at < len(text):
        found = ESCAPED_MEMBER.match(text, at)
        if found:
            member = plain_text(found["name"], 0)
            minimum = Grade.NONE if is_count(name) else _inherited(name, member, decider)
            value, end = _number(text, found.end(), slashes, member, decider, minimum)
            if depth == 1 and (key := decider.replace(name, member, Place.CODE)) != member:
                pieces += (text[start : found.start("name")], key)
                start = found.end("name")
        elif text.startswith(f'{slashes}"', at):
            minimum = _inherited(name, member, decider)
            value, end = _string(text, at, slashes, member, decider, Place.MEMBER, minimum)
        elif (numbers := _NUMBER_LIST.match(text, at)) is not None and depth:
            value, end = [_numbers(numbers[0], slashes, member, decider)], numbers.end()
        elif numbers is not None:
            return [_numbers(numbers[0], slashes, name, decider)], numbers.end()
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
    """Return the grade a member inherits: its container's for list items and members such as `value`, else PERHAPS."""
    if member == name or member.lower() in _INHERITING:
        return decider.grade(name, Place.MEMBER)
    return Grade.PERHAPS
