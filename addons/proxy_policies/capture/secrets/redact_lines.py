"""Redact lines of names and values: YAML, settings, logs, header lines. All other characters are unchanged."""

import re

from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.names import Grade
from proxy_policies.capture.secrets.redact_text import MAX_NAME_LENGTH, in_bare_pairs, last_name

_MARKED = r"(?:[&!][\w./:!-]*+[ \t]++){0,2}"
"""An anchor or a tag of YAML."""
_LINE = re.compile(
    r"(?m)(?P<before>^[ \t]*+(?:[<>*-][ \t]*+)?(?P<name>[A-Za-z][\w-]*+)(?:;[\w-]++=[^:;\r\n]*+)*+:[ \t]*+"
    rf"{_MARKED})(?P<value>[^\s|>&*!{{\[#][^\r\n]*)"
)
_PLAIN = r"[^\s&;,\"'<>(){}\[\]\\:]"
_VALUE = rf"(?P<value>(?![|*!#=/]){_PLAIN}(?:{_PLAIN}|:(?={_PLAIN}))*+)"
"""A text before a colon and a space is a name, not a value: `login: password: …`."""
_COLON = re.compile(rf":(?<=[\w\"']:)[ \t]*+{_VALUE}")
_SPACED_COLON = re.compile(rf":(?<=\w:)[ \t]++{_VALUE}")
_PAIR = re.compile(
    r"(?m)(?P<before>^(?P<indent>[ \t]*+)(?P<item>-[ \t]++)?(?:name|key|label|id|field|title|header|param|variable):"
    r"[ \t]++(?P<quoted>[\"'])?(?P<name>[\w.-]{2,100}+)(?(quoted)[\"'])[ \t]*+\r?\n"
    r"(?:(?P=indent)[ \t]*+[^\s-][^\n]*+\n){0,4}?"
    r"(?P=indent)(?(item)[ \t]+)(?:value|val|content|text|data):[ \t]++[\"']?)(?P<value>[^\"'\s][^\"'\r\n]*+)"
)
"""A name and its value in two lines of an item: variables in Kubernetes and Compose."""
_HEAD = re.compile(
    r"(?m)^(?P<indent>[ \t]*+)(?P<item>-[ \t]++)?(?P<name>[A-Za-z][\w-]{0,99}+):[ \t]*+(?:[|>][-+\d]{0,2}[ \t]*+)?\r?\n"
)
_KEY = re.compile(r"(?m)^[ \t]*+(?:-[ \t]++)?[\w.\"'-]++:(?:[ \t]|\r?$)")
_ITEM = re.compile(r"(?m)^(?P<before>[ \t]*+-[ \t]++[\"']?+)(?P<value>[^\"'\s][^\"'\r\n]*+)")
_CREDENTIAL_FIELDS = (
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
)  # redacted by `redact_text.in_lines`


def in_named_lines(text: str, decider: Decider, place: Place = Place.CODE) -> str:
    """Replace secrets in `password=…`, `X-Api-Key: …` and YAML; `place` is that of values after a colon."""
    text = in_bare_pairs(text, decider)
    if ":" not in text:
        return text

    def line(found: re.Match[str]) -> str:
        if found["name"].lower() in _CREDENTIAL_FIELDS:
            return found[0]
        return found["before"] + decider.replace(found["name"], found["value"], place)

    text = _LINE.sub(line, text)
    text = _PAIR.sub(lambda found: found["before"] + decider.replace(found["name"], found["value"], place), text)
    return _in_colon_pairs(_in_blocks(text, decider, place), decider, place, _COLON)


def in_prose(text: str, decider: Decider) -> str:
    """Replace random secrets in `name: value` within texts of JSON or HTML."""
    colons = text.count(": ")  # most of which end the name of a member of JSON
    has_name = colons and (colons > text.count('": ') or ":\t" in text)
    return _in_colon_pairs(text, decider, Place.CODE, _SPACED_COLON) if has_name else text


def _in_colon_pairs(text: str, decider: Decider, place: Place, pattern: re.Pattern[str]) -> str:
    """Replace secrets in `name: value` within a line: `{user: bob, password: …}`, `ERROR login: token: …`."""

    def pair(found: re.Match[str]) -> str:
        name = last_name(text[max(0, found.start() - MAX_NAME_LENGTH) : found.start()].rstrip("\"'"))
        return found[0][: found.start("value") - found.start()] + decider.replace(name, found["value"], place)

    return pattern.sub(pair, text)


def _in_blocks(text: str, decider: Decider, place: Place) -> str:
    """Replace YAML block scalars and lists with secret names."""
    pieces: list[str] = []
    done = 0
    for head in _HEAD.finditer(text):
        if head.start() < done or decider.grade(head["name"], Place.MEMBER) is Grade.NONE:
            continue
        end = _end_of_block(text, head)
        pieces += (text[done : head.end()], _block(head["name"], text[head.end() : end], decider, place))
        done = end
    return "".join((*pieces, text[done:]))


def _end_of_block(text: str, head: re.Match[str]) -> int:
    """Return the index of the first line not indented more than the block's name; list items may have its indent."""
    inner = [f"{head['indent']} ", f"{head['indent']}\t", *([] if head["item"] else [f"{head['indent']}- "])]
    at = head.end()
    while at < len(text):
        end = text.find("\n", at) % (len(text) + 1) + 1
        if not text.startswith(tuple(inner), at) and text[at:end].strip():
            return at
        at = end
    return len(text)


def _block(name: str, block: str, decider: Decider, place: Place) -> str:
    """Replace a text of several lines by one line, or the items of a list; a mapping has names of its members."""
    if _KEY.search(block):
        return block
    if _ITEM.match(block):
        return _ITEM.sub(lambda found: found["before"] + decider.replace(name, found["value"], place), block)
    plain = block.strip()
    return block.replace(plain, decider.replace(name, plain, place), 1) if plain else block
