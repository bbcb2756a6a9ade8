"""Redact arguments of calls whose names are not beside them: GraphQL variables, JSON-RPC arguments in a list.

`login(password: $p)` names `"variables": {"p": …}`, and `"method": "login"` identifies `"params": ["bob", …]`.
"""

import html
import re
from dataclasses import replace
from itertools import chain

from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.json_values import plain_text
from proxy_policies.capture.secrets.names import Grade, words

_VARIABLE = re.compile(r":\s*\$(?P<name>[A-Za-z_]\w{0,99})")
_DEFAULT = re.compile(
    r"(?P<before>\$(?P<name>[A-Za-z_]\w{0,99})\s*+:\s*+[\w!\[\]]{1,99}\s*+=\s*+(?P<quote>(?P<one>\\*\")(?:(?P=one){2})?))"
    r"(?P<value>[^\"\\\n]+)(?=(?P=quote)|\Z)"
)
_ARGUMENT = re.compile(r"(?:\\[nrt])?([A-Za-z_]\w*)\s*\Z")
MAX_ARGUMENT_LENGTH = 100  # characters before the colon that are searched for an argument's name
MAX_VARIABLES = 64  # secret variables of a query; every other name is compared with them
_METHOD = re.compile(r'"method"\s*:\s*"(?P<name>[^"\\]{1,200})"')
_PARAMS = re.compile(r'"params"\s*:\s*(?=\[)')
_PIECE = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*+)(?:"|\Z)|[\[\]{}]', re.DOTALL)
_XML_METHOD = re.compile(r"<methodName>\s*+([\w.:/-]{1,200})")
_XML_PARAM = re.compile(r"<param>\s*+<value>\s*+(?:<string>)?(?:<!\[CDATA\[)?(?P<text>[^<>\s][^<>\]]*+)")
_BLOG_PREFIXES = ("wp.", "blogger.", "metaWeblog.", "mt.")
"""APIs in which every method takes a user and a password (WordPress, Blogger, MetaWeblog, Movable Type)."""
LOGIN_WORDS = ("login", "logon", "signin", "authenticate", "authorize", "unlock")
"""Words in names of methods that take a password: Odoo's `authenticate`, Stratum's `mining.authorize`."""

_CALL = re.compile(
    r'(?:\A\s*+\d{0,9}|"(?:args|arguments|command)"\s*+:\s*+)'
    rf'(?=\[\s*+"(?i:(?:\w+[.:])?(?:{"|".join(LOGIN_WORDS)}|auth))"\s*+,\s*+")'
)
"""A request that is or contains a call: `["login", "bob", "…"]`, in Socket.IO `42["login", …]`."""


def with_secret_variables(text: str, decider: Decider) -> Decider:
    """Return a decider with the variables that a GraphQL query passes as secret arguments as secret names."""
    if "$" not in text:
        return decider
    found: set[str] = set()
    for variable in _VARIABLE.finditer(text):
        before = text[max(0, variable.start() - MAX_ARGUMENT_LENGTH) : variable.start()]
        if variable["name"] not in found and _is_secret_argument(before, decider):
            found.add(variable["name"])
        if len(found) >= MAX_VARIABLES:
            break
    if not found:
        return decider
    return replace(decider, rules=replace(decider.rules, names=(*decider.rules.names, *sorted(found))))


def _is_secret_argument(before: str, decider: Decider) -> bool:
    """Return whether the text before a variable's colon ends with the name of a secret argument."""
    found = _ARGUMENT.search(before)
    return found is not None and decider.grade(found[1], Place.MEMBER) >= Grade.TOKEN and not decider.is_kept(found[1])


def in_defaults(text: str, decider: Decider) -> str:
    """Replace the default values of GraphQL variables with secret names, or passed as secret arguments."""
    if "$" not in text:
        return text
    return _DEFAULT.sub(lambda found: found["before"] + decider.replace(found["name"], found["value"]), text)


def in_positions(text: str, decider: Decider) -> str:
    """Replace the strings in the arguments of calls that take a password: all but the first, or the only one."""
    if "<methodName>" in text:
        return _in_xml_positions(text, decider)
    calls = frozenset() if decider.is_response else frozenset(found.end() for found in _CALL.finditer(text))
    lists = _lists(text, decider) if '"params"' in text and '"method"' in text else []
    if not (calls or lists):
        return text
    pieces: list[str] = []
    done = 0
    for item in _arguments(text, sorted({*calls, *lists}), calls):
        plain = plain_text(item["text"], 0)
        replaced = decider.replace("password", plain)
        if replaced != plain:
            pieces += (text[done : item.start("text")], replaced)
            done = item.end("text")
    return "".join((*pieces, text[done:])) if pieces else text


def _in_xml_positions(text: str, decider: Decider) -> str:
    """Replace such arguments in XML-RPC, where each one is a `param`."""
    method = _XML_METHOD.search(text)
    if method is None or not (_takes_password(method[1], decider) or method[1].startswith(_BLOG_PREFIXES)):
        return text
    found = list(_XML_PARAM.finditer(text))
    pieces: list[str] = []
    done = 0
    for item in found[1:] or found:
        pieces += (text[done : item.start("text")], decider.replace("password", html.unescape(item["text"])))
        if pieces[-1] == html.unescape(item["text"]):
            pieces[-1] = item["text"]
        done = item.end("text")
    return "".join((*pieces, text[done:]))


def _lists(text: str, decider: Decider) -> list[int]:
    """Return the indexes of the argument lists of calls that take a password.

    If some calls of a batch have no list, return those of all.
    """
    are_secret = [_takes_password(method["name"], decider) for method in _METHOD.finditer(text)]
    lists = [found.end() for found in _PARAMS.finditer(text)]
    if len(are_secret) != len(lists):
        return lists if any(are_secret) else []
    return [at for at, is_secret in zip(lists, are_secret, strict=True) if is_secret]


def _takes_password(method: str, decider: Decider) -> bool:
    joined = "".join(words(method))
    return any(map(joined.__contains__, LOGIN_WORDS)) or decider.grade(method, Place.MEMBER) >= Grade.TOKEN


def _arguments(text: str, lists: list[int], calls: frozenset[int]) -> list[re.Match[str]]:
    """Return the strings to replace in the lists at these indexes, in their order in the text.

    In the lists at `calls` the first item is the name of the method.
    """
    found: list[tuple[int, list[re.Match[str]]]] = []
    wanted_lists, done = frozenset(lists), 0
    for at in lists:
        if at >= done:  # else nested in a list that was read already
            done = _read_list(text, at, wanted_lists, found)
    arguments = [items[1:] if at in calls else items for at, items in found]
    return sorted(chain.from_iterable(items[1:] or items for items in arguments), key=re.Match.start)


def _read_list(text: str, at: int, wanted_lists: frozenset[int], found: list[tuple[int, list[re.Match[str]]]]) -> int:
    """Add the strings of each wanted list that is or is within the list at `at`; return the index of its end.

    An incomplete list is read up to its end.
    """
    open_lists: list[list[re.Match[str]]] = []
    for piece in _PIECE.finditer(text, at):
        if piece["text"] is not None:
            open_lists[-1].append(piece)
        elif piece[0] in "[{":
            open_lists.append([])
            if piece.start() in wanted_lists:
                found.append((piece.start(), open_lists[-1]))
        else:
            open_lists.pop()
            if not open_lists:
                return piece.end()
    return len(text)
