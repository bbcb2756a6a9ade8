"""Secrets in JSON, wherever it stands: a body, a line of NDJSON, an SSE event, a script, a JSON string.

Every other character stays as it was. A document that is cut is read as far as it goes.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator

from proxy_policies.capture.secrets.decide import Decider, Place
from proxy_policies.capture.secrets.names import Grade
from proxy_policies.capture.secrets.redact_columns import COLUMNS, ROWS, in_columns

_NAME = r'(?P<name>(?!\\*")[^"\\\n]{0,200}+(?:\\u[0-9a-fA-F]{4}[^"\\\n]{0,200}+){0,30}+'
_PLAIN = r'(?:(?=(?P=slashes)"(?P<plain>[^"\\]*+)(?P=slashes)"))?'
"""A value that is a text without escapes, as nearly all are: of those that are the same it is decided once."""
_MEMBER = re.compile(rf'"{_NAME}(?P<slashes>))"\s*:\s*{_PLAIN}')
_ESCAPED_MEMBER = re.compile(rf'(?P<slashes>\\{{0,127}})"{_NAME})(?P=slashes)"\s*:\s*{_PLAIN}')
"""127 backslashes are seven strings within each other; more would be counted anew from each one."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")
_SKIPPED = re.compile(r'[^"\\\[\]{}]+')
_INNER = re.compile(r'(?:[^"\\]|\\.)*', re.DOTALL)
_VALUE_NAMES = ("value", "values", "val", "content", "data", "v", "rhs", "newvalue", "new_value")
_COMPARING = ("eq", "$eq", "_eq", "equals", "is", "exact", "in", "$in", "set", "$set", "new", "old", "current")
_TEXTS = ("text", "#text", "_text", "$t", "_", "$", "raw", "plain", "string", "str")
_INHERITING = frozenset((*_VALUE_NAMES, *_COMPARING, *_TEXTS))
"""Members that are what is around them: comparisons in queries, texts of XML that was made JSON."""
_VALUES = "|".join(_VALUE_NAMES)
_MEMBERS_BETWEEN = (
    rf'(?:(?!"(?:{_VALUES})")"[^"\\]{{1,40}}"\s*:\s*(?:"[^"\\\n]{{0,200}}"|[\w.+-]{{1,40}})\s*,\s*){{0,3}}+'
)
"""What stands between a name and its value: `"type": "text",`"""
_NAMES = "name|key|field|header|path|param|parameter|attribute|property|variable|column|id|k|lhs"
_PAIR = re.compile(
    rf'"(?:{_NAMES})"\s*:\s*"{_NAME}(?P<slashes>))"\s*,\s*{_MEMBERS_BETWEEN}'
    rf'"(?:{_VALUES})"\s*:\s*{_PLAIN}',
    re.IGNORECASE,
)
_WHOLE = (
    r'(?=(?P=slashes)"[^"\\]*+(?P=slashes)"\s*\]|"(?:[^"\\]|\\.)*+(?:"\s*(?:\]|\Z)|\\?\Z)'
    r"|-?\d[\d.eE+-]*+\s*\]|\[[^\[\]]*+\]\s*\])"
)
"""The last item of a list: a text, a number, a list."""
_LISTS = re.compile(r'\[\s*+\[\s*+\\*+"')
_LISTED_PAIR = re.compile(rf'[\[,]\s*\[\s*(?P<slashes>\\{{0,127}})"{_NAME})(?P=slashes)"\s*,\s*{_WHOLE}{_PLAIN}')
"""A list of two in a list, such as `[["password", "…"], ["city", "Bonn"]]`."""
_OPERATOR = r'"(?:[=~<>!:]{1,3}|i?eq|is|i?like|in|contains|equals|not|ne|matches)"'
_OPERATED = re.compile(rf",\s*+{_OPERATOR}\s*+,")
_COMPARISON = re.compile(rf'\[\s*+"{_NAME}(?P<slashes>))"\s*+,\s*+{_OPERATOR}\s*+,\s*+(?=["\d\[-]){_PLAIN}')
"""A list of three, such as `["password", "=", "…"]`."""
_NEXT_TO_NAME = re.compile(rf'[\[,]\s*"{_NAME}(?P<slashes>))"\s*,\s*(?=")(?!"[\w-]*"\s*:){_PLAIN}')
_STRING = re.compile(r'"(?P<source>(?:[^"\\]|\\.)*+\\?)(?P<end>"|\Z)', re.DOTALL)
_CUT_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_QUOTED: tuple[Callable[[str], str], ...] = (
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1].replace("/", "\\/"),
    lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
)
"""How programs write a text into a JSON string."""
_VALUE_FIRST = re.compile(
    rf'(?P<value>"(?:{_VALUES})"\s*:\s*")(?P<plain>[^"\\\n]*)"\s*,\s*'
    rf'"(?:name|key|field|header)"\s*:\s*"{_NAME})"',
    re.IGNORECASE,
)

type Found = set[tuple[str, ...]]
"""The groups of each match of a pattern, once."""


def in_json(text: str, decider: Decider) -> str:
    """Replace secrets in members, and in pairs: `{"name": "password", "value": "…"}`, `[["password", "…"]]`."""
    if '"' not in text:
        return text
    members = _ESCAPED_MEMBER if '\\"' in text else _MEMBER
    found = set(members.findall(text))
    before = text
    names = _names(found, members)
    if not names.isdisjoint(_VALUE_NAMES):
        text = _replace_after(text, _PAIR, decider, Place.FIELD)
        text = _VALUE_FIRST.sub(lambda found: _value_first(found, decider), text)
    if not (names.isdisjoint(COLUMNS) or names.isdisjoint(ROWS)):
        text = in_columns(text, decider)
    if _LISTS.search(text) is not None:
        text = _replace_after(text, _LISTED_PAIR, decider, Place.MEMBER)
    if _OPERATED.search(text) is not None:
        text = _replace_after(text, _COMPARISON, decider, Place.MEMBER)
    if '"rawHeaders"' in text:  # Node.js: names and values by turns
        text = _replace_after(text, _NEXT_TO_NAME, decider, Place.CODE)
    return _replace_after(text, members, decider, Place.MEMBER, found if text == before else None)


def _names(found: Found, pattern: re.Pattern[str]) -> set[str]:
    """Return the names of the members that were found, in lower case."""
    name = pattern.groupindex["name"] - 1
    return {source.lower() for source in {groups[name] for groups in found}}


def in_strings(text: str, marks: Iterable[str], look: Callable[[str], str]) -> str:
    """Return JSON with what `look` makes of each string that has one of these marks, and of what quotes it has."""
    if not any(map(text.__contains__, marks)):
        return text

    def string(found: re.Match[str]) -> str:
        source = found["source"]
        if not any(map(source.__contains__, marks)):
            return found[0]
        whole = source if found["end"] else _CUT_ESCAPE.sub("", source)
        plain = _plain(whole, 0)
        replaced = look(plain)
        return found[0] if replaced == plain else f'"{_quoted_as(whole, plain, replaced)}{found["end"]}'

    return _STRING.sub(string, text)


def _quoted_as(source: str, plain: str, text: str) -> str:
    """Return a text as a JSON string has it, escaped as `source` is what `plain` was escaped to."""
    made = next((quoted for quoted in _QUOTED if quoted(plain) == source), _QUOTED[0])
    return made(text)


def _value_first(found: re.Match[str], decider: Decider) -> str:
    replaced = decider.replace(found["name"], found["plain"], Place.FIELD)
    return f"{found['value']}{replaced}{found[0][len(found['value']) + len(found['plain']) :]}"


def _replace_after(
    text: str, pattern: re.Pattern[str], decider: Decider, place: Place, every: Found | None = None
) -> str:
    """Replace the value after each match of a name; `every` match's groups, where they are known already."""
    pieces: list[str] = []
    done = 0
    for found in _telling(text, pattern, decider, place, every):
        if found.start() >= done:
            name = _plain(found["name"], 0)
            value, end = _value(text, found.end(), found["slashes"], name, decider, place)
            pieces += (text[done : found.end()], *value)
            done = end
    return "".join((*pieces, text[done:])) if pieces else text


def _telling(
    text: str, pattern: re.Pattern[str], decider: Decider, place: Place, every: Found | None
) -> Iterator[re.Match[str]]:
    """Yield the matches of a name that may make its value a secret; the same few come again and again."""
    name, value = pattern.groupindex["name"] - 1, pattern.groupindex["plain"] - 1
    found = set(pattern.findall(text)) if every is None else every
    plain = {source: _plain(source, 0) for source in {groups[name] for groups in found}}
    telling = {source for source in plain if _is_telling(plain[source], decider, place)}
    wanted = {
        groups
        for groups in found
        if groups[name] in telling
        and (not groups[value] or decider.is_secret(plain[groups[name]], groups[value], place))
    }
    if wanted:
        members = pattern.finditer(text)
        yield from (member for member in members if member["name"] in telling and member.groups("") in wanted)


def _is_telling(name: str, decider: Decider, place: Place) -> bool:
    return not decider.is_kept(name) and decider.grade(name, place) is not Grade.NONE


def _value(text: str, at: int, slashes: str, name: str, decider: Decider, place: Place) -> tuple[list[str], int]:
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
    text: str, at: int, slashes: str, name: str, decider: Decider, place: Place, least: Grade
) -> tuple[list[str], int]:
    """Return a string with its quotes; one that is cut goes to the end of the text."""
    begin = at + len(slashes) + 1
    end = _end_of_string(text, begin, slashes)
    source = text[begin:end]
    value = _plain(source, len(slashes))
    replaced = decider.replace(name, value, place, least)
    after = min(len(text), end + len(slashes) + 1)
    return [text[at:begin], source if replaced == value else replaced, text[end:after]], after


def _end_of_string(text: str, begin: int, slashes: str) -> int:
    """Return where the quote is that ends a string: one with just as many backslashes as the first had."""
    if not slashes:
        found = _INNER.match(text, begin)
        return found.end() if found else begin
    ended = re.compile(rf'(?<!\\)\\{{{len(slashes)}}}"').search(text, begin)
    return ended.start() if ended else len(text)


def _plain(source: str, slashes: int) -> str:
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
        found = _ESCAPED_MEMBER.match(text, at)
        if found:
            member = _plain(found["name"], 0)
            value, end = _number(text, found.end(), slashes, member, decider)
            if depth == 1 and (key := decider.replace(name, member, Place.CODE)) != member:
                pieces += (text[start : found.start("name")], key)
                start = found.end("name")
        elif text.startswith(f'{slashes}"', at):
            least = _inherited(name, member, decider)
            value, end = _string(text, at, slashes, member, decider, Place.MEMBER, least)
        else:
            depth += (text[at] in "{[") - (text[at] in "}]")
            if not depth:
                return [*pieces, text[start : at + 1]], at + 1
            at = _after(text, at)
            continue
        began = found.end() if found else at
        pieces += (text[start:began], *value)
        start = at = end
    return [*pieces, text[start:]], len(text)


def _after(text: str, at: int) -> int:
    found = _SKIPPED.match(text, at + 1)
    return found.end() if found else at + 1


def _inherited(name: str, member: str, decider: Decider) -> Grade:
    """Return what the name of a container says of a member: all of a list's items and of a `value`, else perhaps."""
    if member == name or member.lower() in _INHERITING:
        return decider.grade(name, Place.MEMBER)
    return Grade.PERHAPS
