"""Redact JSON objects with a name and its value in two members: `{"label": "Password", "type": "text", "text": "…"}`.

The two members may have various names, any order, and other members between them.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from operator import itemgetter

from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.json_values import in_value
from proxy_policies.capture.secrets.names import Grade, may_be_secret_name, words

_NAMES = frozenset(
    ("name", "key", "field", "header", "path", "param", "parameter", "attribute", "property", "variable", "column")
) | {"id", "k", "lhs"}
_LABELS = frozenset(("label", "title", "prop", "attr", "slug", "question", "q", "caption"))
_VALUES = frozenset(
    ("value", "values", "val", "v", "rhs", "content", "data", "old", "new", "from", "to", "before", "after")
)
_TEXTS = frozenset(("text", "answer", "input", "literal", "a"))
_TYPED = ("valuestring", "value_string", "valuetext")  # FHIR's answers
_STRING = r'"(?:[^"\\\n]|\\.)*+(?:"|\Z)'
_PIECE = re.compile(rf'"(?P<key>[^"\\\n]*+)"\s*+:\s*+(?:"(?P<text>[^"\\\n]{{2,100}})")?|{_STRING}|[{{}}]')
MAX_NAME_LENGTH = 100  # characters of a string that may be a name

type NamedValue = tuple[str, Decider, int]
"""The name of a secret, the decider for it, and the index of its value."""


@dataclass(slots=True)
class _Object:
    """An object that is read up to some member."""

    name: str = ""
    """The name of a secret that is the value of one of its members."""
    is_label: bool = False
    values: list[tuple[str, int]] = field(default_factory=list)
    """The members that may have the secret's value: their names, and the indexes of their values."""


@lru_cache(4096)  # keys repeat with every exchange
def is_name(key: str) -> bool:
    """Return whether the value of a member with this key may be the name of another member's value."""
    return _last_word(key) in _NAMES | _LABELS


@lru_cache(4096)
def is_value(key: str) -> bool:
    """Return whether the value of a member with this key may be named by the value of another member."""
    return _last_word(key) in _VALUES | _TEXTS or key.lower() in _TYPED


def _last_word(key: str) -> str:
    return next(reversed(words(key[-MAX_NAME_LENGTH:])), "")


def has_pairs(members: Iterable[tuple[str, str]], decider: Decider) -> bool:
    """Return whether the value of one of these members, keys with values, is the name of a secret."""
    return any(is_name(key) and _is_secret_name(text, decider) for key, text in members)


def _is_secret_name(text: str, decider: Decider) -> bool:
    if len(text) > MAX_NAME_LENGTH or not (decider.rules.names or decider.rules.headers or may_be_secret_name(text)):
        return False
    return not decider.is_kept(text) and decider.grade(text, Place.FIELD) is not Grade.NONE


def in_pairs(text: str, decider: Decider) -> str:
    """Replace the values in objects with the name of a secret."""
    pieces: list[str] = []
    done = 0
    for name, value_decider, at in sorted(_named_values(text, decider), key=itemgetter(2)):
        if at >= done:
            value, end = in_value(text, at, "", name, value_decider, Place.FIELD)
            pieces += (text[done:at], *value)
            done = end
    return "".join((*pieces, text[done:]))


def _named_values(text: str, decider: Decider) -> Iterator[NamedValue]:
    """Yield the values of each object with the name of a secret; an incomplete object is read up to its end."""
    open_objects = [_Object()]
    for piece in _PIECE.finditer(text):
        if piece["key"] is not None:
            _add_member(piece, open_objects[-1], decider)
        elif piece[0] == "{":
            open_objects.append(_Object())
        elif piece[0] == "}" and len(open_objects) > 1:
            yield from _values_of(open_objects.pop(), decider)
    for incomplete in open_objects:
        yield from _values_of(incomplete, decider)


def _add_member(member: re.Match[str], parent: _Object, decider: Decider) -> None:
    key, text = member["key"], member["text"]
    if text and is_name(key) and _is_secret_name(text, decider):
        is_label = _last_word(key) in _LABELS
        if not parent.name or (parent.is_label and not is_label):
            parent.name, parent.is_label = text, is_label
    elif is_value(key):
        parent.values.append((key, member.end() if text is None else member.start("text") - 1))


def _values_of(parent: _Object, decider: Decider) -> Iterator[NamedValue]:
    """Yield the values of an object; texts for people in a response, such as `Your password`, are not secrets."""
    if parent.name:
        for key, at in parent.values:
            is_text = parent.is_label or _last_word(key) in _TEXTS
            yield parent.name, replace(decider, is_response=True) if is_text else decider, at
