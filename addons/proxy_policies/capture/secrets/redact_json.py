"""Redact JSON in any text: a body, a line of NDJSON, an SSE event, a script, a JSON string.

All other characters are unchanged. An incomplete document is read up to its end.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.json_values import ESCAPED_MEMBER, NAME, PLAIN_VALUE, in_value, plain_text
from proxy_policies.capture.secrets.marks import Marks, has_any
from proxy_policies.capture.secrets.names import Grade, grade
from proxy_policies.capture.secrets.redact_columns import has_columns, in_columns
from proxy_policies.capture.secrets.redact_pairs import has_pairs, in_pairs, is_value

_MEMBER = re.compile(rf'"{NAME}(?P<slashes>))"\s*:\s*{PLAIN_VALUE}')
_NAME = re.compile(r'"([^"\n]*+)(?="\s*+:)')
"""At least each name that `_MEMBER` finds, in half the time."""
_SPACED_NAME = re.compile(r'"\s+:')
_LAST_ITEM = (
    r'(?=(?P=slashes)"[^"\\]*+(?P=slashes)"\s*\]|"(?:[^"\\]|\\.)*+(?:"\s*(?:\]|\Z)|\\?\Z)'
    r"|-?\d[\d.eE+-]*+\s*\]|\[[^\[\]]*+\]\s*\])"
)
"""The last item of a list: a string, a number or a list."""
_LISTS = re.compile(r'\[\s*+\[\s*+\\*+"')
_LISTED_PAIR = re.compile(
    rf'[\[,]\s*\[\s*(?P<slashes>\\{{0,127}})"{NAME})(?P=slashes)"\s*,\s*{_LAST_ITEM}{PLAIN_VALUE}'
)
"""A list of two items in a list, such as `[["password", "…"], ["city", "Bonn"]]`."""
_OPERATOR = r'"(?:[=~<>!:]{1,3}|i?eq|is|i?like|in|contains|equals|not|ne|matches)"'
_OPERATOR_ITEM = re.compile(rf"[\[,]\s*+{_OPERATOR}\s*+,")
_COMPARISON = re.compile(rf'\[\s*+"{NAME}(?P<slashes>))"\s*+,\s*+{_OPERATOR}\s*+,\s*+(?=["\d\[-]){PLAIN_VALUE}')
"""A list of three items, such as `["password", "=", "…"]`."""
_PREFIXED = re.compile(rf'\[\s*+{_OPERATOR}\s*+,\s*+"{NAME}(?P<slashes>))"\s*+,\s*+(?=["\d\[-]){PLAIN_VALUE}')
"""The same with the operator first, as in Mapbox."""
_KEYWORD = re.compile(rf'"~:{NAME}(?P<slashes>))"\s*,\s*(?="){PLAIN_VALUE}')
"""A keyword of Transit and its value."""
_NEXT_TO_NAME = re.compile(rf'[\[,]\s*"{NAME}(?P<slashes>))"\s*,\s*(?=")(?!"[\w-]*"\s*:){PLAIN_VALUE}')
_STRING = re.compile(r'"(?P<source>(?:[^"\\]|\\.)*+\\?)(?P<end>"|\Z)', re.DOTALL)
_CUT_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_ESCAPES: tuple[Callable[[str], str], ...] = (
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1].replace("/", "\\/"),
    lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
)
"""The ways in which programs escape a text in a JSON string."""

_KEY_OBJECT = re.compile(r'\{[^{}]*?"kty"[^{}]*+\}?')
"""A JSON Web Key (RFC 7517)."""
_PRIVATE_MEMBER = re.compile(r'"(?:d|p|q|dp|dq|qi|k)"\s*+:\s*+"(?P<value>[\w-]{8,}+)')
"""A member of a private or symmetric key (RFC 7518 sections 6.2.2, 6.3.2 and 6.4)."""

FEW_NAMES = 4
"""Maximum number of names that are searched for one by one."""

type MatchGroups = set[tuple[str, ...]]
"""The distinct groups of the matches of a pattern."""


def in_json(text: str, decider: Decider) -> str:
    """Replace secrets in members, and in pairs: `{"name": "password", "value": "…"}`, `[["password", "…"]]`."""
    if '"' not in text:
        return text
    members = ESCAPED_MEMBER if '\\"' in text else _MEMBER
    before, names = text, _names_in(text, members, decider)
    text = _in_keys(text, decider)
    if names.have_values and has_pairs(_texts(text, members), decider):
        text = in_pairs(text, decider)
    if names.have_columns:
        text = in_columns(text, decider)
    if _LISTS.search(text) is not None:
        text = _replace_after(text, _LISTED_PAIR, decider, Place.MEMBER)
    if _OPERATOR_ITEM.search(text) is not None:
        text = _replace_after(text, _COMPARISON, decider, Place.MEMBER)
        text = _replace_after(text, _PREFIXED, decider, Place.MEMBER)
    if '"~:' in text:
        text = _replace_after(text, _KEYWORD, decider, Place.MEMBER)
    if '"rawHeaders"' in text:  # Node.js: names and values alternate
        text = _replace_after(text, _NEXT_TO_NAME, decider, Place.CODE)
    return _replace_after(text, members, decider, Place.MEMBER) if names.secret or text != before else text


def _in_keys(text: str, decider: Decider) -> str:
    """Replace the private members of JSON Web Keys."""

    def member(found: re.Match[str]) -> str:
        return found[0][: found.start("value") - found.start()] + decider.replace("private_key", found["value"])

    return _KEY_OBJECT.sub(lambda found: _PRIVATE_MEMBER.sub(member, found[0]), text) if '"kty"' in text else text


@dataclass(frozen=True, slots=True)
class _Names:
    """The names of a document's members."""

    have_values: bool
    """Whether one may have a value that is named by another member."""
    have_columns: bool
    secret: frozenset[str]
    """Those whose values may be secrets, as written."""


@lru_cache(1024)  # the documents of an API have the same names
def _names_of(written: frozenset[str], user_names: tuple[str, ...]) -> _Names:
    secret = frozenset(name for name in written if grade(plain_text(name, 0), user_names) is not Grade.NONE)
    return _Names(any(map(is_value, written)), has_columns(written), secret)


def _names_in(text: str, members: re.Pattern[str], decider: Decider) -> _Names:
    """Return at least the names of the members in a text."""
    if members is not _MEMBER:
        written = _groups(set(members.findall(text)), members, "name")
    elif _SPACED_NAME.search(text) is not None:
        written = _NAME.findall(text)
    else:  # of what precedes each colon, all after the last quote: in a quarter of the time
        written = [before[before.rfind('"') + 1 :] for before in text.split('":')]
    return _names_of(frozenset(written), decider.rules.names)


def _groups(found: MatchGroups, pattern: re.Pattern[str], group: str) -> list[str]:
    """Return a group of each of the matches found."""
    index = pattern.groupindex[group] - 1
    return [groups[index] for groups in found]


def _texts(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each member that is a string without escapes."""
    found = set(pattern.findall(text))
    pairs = zip(_groups(found, pattern, "name"), _groups(found, pattern, "plain"), strict=True)
    yield from (pair for pair in pairs if pair[1])


def in_strings(text: str, marks: Marks, redact: Callable[[str], str]) -> str:
    """Return JSON with `redact` applied to the decoded text of each string that has one of these marks."""
    if not has_any(text, marks):
        return text

    def string(found: re.Match[str]) -> str:
        source = found["source"]
        if not has_any(source, marks):
            return found[0]
        complete = source if found["end"] else _CUT_ESCAPE.sub("", source)
        plain = plain_text(complete, 0)
        replaced = redact(plain)
        return found[0] if replaced == plain else f'"{_escaped_as(complete, plain, replaced)}{found["end"]}'

    return _STRING.sub(string, text)


def _escaped_as(source: str, plain: str, text: str) -> str:
    """Return a text escaped for a JSON string in the way that makes `source` of `plain`."""
    escape = next((escape_function for escape_function in _ESCAPES if escape_function(plain) == source), _ESCAPES[0])
    return escape(text)


def _replace_after(text: str, pattern: re.Pattern[str], decider: Decider, place: Place) -> str:
    """Replace the value after each match of a name."""
    pieces: list[str] = []
    done = 0
    for found in _secret_matches(text, pattern, decider, place):
        if found.start() >= done:
            name = plain_text(found["name"], 0)
            value, end = in_value(text, found.end(), found["slashes"], name, decider, place)
            pieces += (text[done : found.end()], *value)
            done = end
    return "".join((*pieces, text[done:])) if pieces else text


def _secret_matches(text: str, pattern: re.Pattern[str], decider: Decider, place: Place) -> Iterator[re.Match[str]]:
    """Yield the matches of names whose values may be secrets; equal ones, which are frequent, are decided once."""
    name, value = pattern.groupindex["name"] - 1, pattern.groupindex["plain"] - 1
    found = set(pattern.findall(text))
    secret = _names_of(frozenset(_groups(found, pattern, "name")), decider.rules.names).secret
    plain = {source: plain_text(source, 0) for source in secret}
    secret_names = {source for source in secret if not decider.is_kept(plain[source])}
    if not secret_names:
        return
    secret_groups = {
        groups
        for groups in found
        if groups[name] in secret_names
        and (not groups[value] or decider.is_secret(plain[groups[name]], groups[value], place))
    }
    if secret_groups:
        members = (
            _members(text, {groups[name] for groups in secret_groups}) if pattern is _MEMBER else pattern.finditer(text)
        )
        yield from (
            member for member in members if member["name"] in secret_names and member.groups("") in secret_groups
        )


def _members(text: str, names: set[str]) -> Iterable[re.Match[str]]:
    """Return at least the members of these names, in order; a few names are faster to find than all members."""
    # an empty name, or one that begins with a colon, may match from the closing quote of another string
    if len(names) > FEW_NAMES or any(name.lstrip()[:1] in (":", "") for name in names):
        return _MEMBER.finditer(text)
    starts = sorted(at for name in names for at in _positions(text, f'"{name}"'))
    return filter(None, (_MEMBER.match(text, at) for at in starts))


def _positions(text: str, needle: str) -> Iterator[int]:
    at = text.find(needle)
    while at >= 0:
        yield at
        at = text.find(needle, at + 1)
