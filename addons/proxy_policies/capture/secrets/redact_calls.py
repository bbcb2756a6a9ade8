"""Secrets in calls whose names stand elsewhere than beside them: GraphQL's variables, JSON-RPC's arguments in a list.

`login(password: $p)` says what `"variables": {"p": …}` is, and `"method": "login"` what `"params": ["bob", …]` has.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace

from proxy_policies.capture.secrets.decide import Decider, Place
from proxy_policies.capture.secrets.names import Grade, words

_VARIABLE = re.compile(r":\s*\$(?P<name>[A-Za-z_]\w{0,99})")
_ARGUMENT = re.compile(r"(?:\\[nrt])?([A-Za-z_]\w*)\s*\Z")
ARGUMENT_LENGTH = 100  # characters before the colon in which an argument's name is looked for
_METHOD = re.compile(r'"method"\s*:\s*"(?P<name>[^"\\]{1,200})"')
_PARAMS = re.compile(r'"params"\s*:\s*(?=\[)')
_PIECE = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*+)(?:"|\Z)|[\[\]{}]', re.DOTALL)
_LOGINS = ("login", "logon", "signin", "authenticate", "authorize", "unlock")
"""What methods have in their names that take a password: Odoo's `authenticate`, Stratum's `mining.authorize`."""


def naming_variables(text: str, decider: Decider) -> Decider:
    """Return a decider to which variables are called as the arguments are that a GraphQL query passes them for."""
    if "$" not in text:
        return decider
    found = {
        found["name"]
        for found in _VARIABLE.finditer(text)
        for argument in _ARGUMENT.findall(text[max(0, found.start() - ARGUMENT_LENGTH) : found.start()])
        if decider.grade(argument, Place.MEMBER) >= Grade.TOKEN and not decider.is_kept(argument)
    }
    if not found:
        return decider
    return replace(decider, rules=replace(decider.rules, names=(*decider.rules.names, *sorted(found))))


def in_positions(text: str, decider: Decider) -> str:
    """Replace the texts in the list of a call that takes a password: all but the first, or a lone one."""
    if '"params"' not in text or '"method"' not in text:
        return text
    pieces: list[str] = []
    done = 0
    for at in _lists(text, decider):
        found = list(_texts(text, at))
        for item in found[1:] or found:
            plain = _plain(item["text"])
            replaced = decider.replace("password", plain)
            if replaced != plain:
                pieces += (text[done : item.start("text")], replaced)
                done = item.end("text")
    return "".join((*pieces, text[done:])) if pieces else text


def _lists(text: str, decider: Decider) -> list[int]:
    """Return where the lists of calls that take a password begin; of a batch in which some have no list, all do."""
    are_secret = [_takes_password(method["name"], decider) for method in _METHOD.finditer(text)]
    lists = [found.end() for found in _PARAMS.finditer(text)]
    if len(are_secret) != len(lists):
        return lists if any(are_secret) else []
    return [at for at, is_secret in zip(lists, are_secret, strict=True) if is_secret]


def _takes_password(method: str, decider: Decider) -> bool:
    joined = "".join(words(method))
    return any(map(joined.__contains__, _LOGINS)) or decider.grade(method, Place.MEMBER) >= Grade.TOKEN


def _texts(text: str, at: int) -> Iterator[re.Match[str]]:
    """Yield the texts that are items of the list at this place; of one that is cut, as far as it goes."""
    depth = 0
    for piece in _PIECE.finditer(text, at):
        if piece["text"] is None:
            depth += 1 if piece[0] in "[{" else -1
            if not depth:
                return
        elif depth == 1:
            yield piece


def _plain(source: str) -> str:
    try:
        return str(json.loads(f'"{source}"', strict=False))
    except ValueError:
        return source
