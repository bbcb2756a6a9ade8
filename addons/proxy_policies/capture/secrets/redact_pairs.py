"""Secrets in JSON that has a name and its value in two members: `{"label": "Password", "type": "text", "text": "…"}`.

Whatever the two are called, in whichever order they come, and whatever stands between them.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from operator import itemgetter

from proxy_policies.capture.secrets.decide import Decider, Place
from proxy_policies.capture.secrets.json_values import in_value
from proxy_policies.capture.secrets.names import Grade, may_be_named, words

_NAMES = frozenset(
    ("name", "key", "field", "header", "path", "param", "parameter", "attribute", "property", "variable", "column")
) | {"id", "k", "lhs"}
_TITLES = frozenset(("label", "title", "prop", "attr", "slug", "question", "q", "caption"))
_VALUES = frozenset(("value", "values", "val", "v", "rhs", "content", "data"))
_TEXTS = frozenset(("text", "answer", "input", "literal", "a"))
_TYPED = ("valuestring", "value_string", "valuetext")  # FHIR's answers
_STRING = r'"(?:[^"\\\n]|\\.)*+(?:"|\Z)'
_PIECE = re.compile(rf'"(?P<key>[^"\\\n]*+)"\s*+:\s*+(?:"(?P<text>[^"\\\n]{{2,100}})")?|{_STRING}|[{{}}]')
NAME_LENGTH = 100  # characters of a text that may be a name

type Named = tuple[str, Decider, int]
"""The name of a secret, who decides about it, and where its value begins."""


@dataclass(slots=True)
class _Object:
    """What is known of an object whose end has not come yet."""

    name: str = ""
    """The name of a secret that one of its members has."""
    is_title: bool = False
    values: list[tuple[str, int]] = field(default_factory=list)
    """What a name may stand for: what its member is called, and where it begins."""


@lru_cache(4096)  # the same few come with every exchange
def is_name(key: str) -> bool:
    """Return whether a member that is called so may have the name of another as its text."""
    return _last_word(key) in _NAMES | _TITLES


@lru_cache(4096)
def is_value(key: str) -> bool:
    """Return whether a member that is called so may have a value whose name is the text of another."""
    return _last_word(key) in _VALUES | _TEXTS or key.lower() in _TYPED


def _last_word(key: str) -> str:
    return next(reversed(words(key[-NAME_LENGTH:])), "")


def has_pairs(members: Iterable[tuple[str, str]], decider: Decider) -> bool:
    """Return whether one of these members, names with texts, has the name of a secret as its text."""
    return any(is_name(key) and _is_telling(text, decider) for key, text in members)


def _is_telling(text: str, decider: Decider) -> bool:
    if len(text) > NAME_LENGTH or not (decider.rules.names or decider.rules.headers or may_be_named(text)):
        return False
    return not decider.is_kept(text) and decider.grade(text, Place.FIELD) is not Grade.NONE


def in_pairs(text: str, decider: Decider) -> str:
    """Replace what stands beside the name of a secret."""
    pieces: list[str] = []
    done = 0
    for name, decide, at in sorted(_named(text, decider), key=itemgetter(2)):
        if at >= done:
            value, end = in_value(text, at, "", name, decide, Place.FIELD)
            pieces += (text[done:at], *value)
            done = end
    return "".join((*pieces, text[done:]))


def _named(text: str, decider: Decider) -> Iterator[Named]:
    """Yield the values of each object in which is the name of a secret; one that is cut is read as far as it goes."""
    around = [_Object()]
    for piece in _PIECE.finditer(text):
        if piece["key"] is not None:
            _add(piece, around[-1], decider)
        elif piece[0] == "{":
            around.append(_Object())
        elif piece[0] == "}" and len(around) > 1:
            yield from _in_object(around.pop(), decider)
    for unfinished in around:
        yield from _in_object(unfinished, decider)


def _add(member: re.Match[str], inner: _Object, decider: Decider) -> None:
    key, text = member["key"], member["text"]
    if text and is_name(key) and _is_telling(text, decider):
        is_title = _last_word(key) in _TITLES
        if not inner.name or (inner.is_title and not is_title):
            inner.name, inner.is_title = text, is_title
    elif is_value(key):
        inner.values.append((key, member.end() if text is None else member.start("text") - 1))


def _in_object(inner: _Object, decider: Decider) -> Iterator[Named]:
    """Yield the values of an object; what an answer says to people, such as `Your password`, is no secret."""
    if inner.name:
        for key, at in inner.values:
            is_text = inner.is_title or _last_word(key) in _TEXTS
            yield inner.name, replace(decider, is_answer=True) if is_text else decider, at
