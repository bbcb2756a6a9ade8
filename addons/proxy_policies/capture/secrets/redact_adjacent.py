"""Redact random values that follow the name of a secret after any separator: `token aB3…`, `:password "aB3…"`.

This is for texts in no notation that another module knows. It needs no more than a name, a few characters that are
neither names nor values, and a value that is random.
"""

import re

from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.names import Grade
from proxy_policies.capture.secrets.redact_text import MAX_NAME_LENGTH, last_name
from proxy_policies.capture.secrets.secret_words import secret_words

MIN_LETTERS = 20
"""Minimum length of a value without a digit: shorter ones may be words of any language."""
_LINKS = "is|was|ist|war|lautet|est|es|é|string|String|str|value|default|like|LIKE|in|IN|to|eq"
_REST = re.compile(r"[\w-]{0,60}+")
_WORDS = rf"(?:(?:for|of) [\w.@-]{{1,60}}|{_LINKS}|\d{{1,3}})(?![\w-])|[bruBRU](?=[\"'])"
_VALUE = r"(?P<value>(?=[\w+])[\w~+/!@#$%^*-]{8,200}+={0,2}+)(?![\w~+/!@#$%^*=:(-]|\.\w)"
_OPEN = r"(?:[ \t\x00-\x08\x0e-\x1f!:=>(\[{<|&@*~`'\"\])}\\-]|(?<=['\"]),){1,12}+(?:(?<=[:={(>\[])\s{1,12}+)?"
"""Characters between a name and its value in a text."""
_WITHIN = r"(?:[ \t\x00-\x08\x0e-\x1f!:=(\[{|&@*~`\])}?-]|\\[\"'tnr]|<<|>>|=>|->){1,12}+(?:(?<=[=|?] )[\"'`])?"
"""The same in JSON and scripts, where quotes end a value, except those of `token: String = "…"` and `token || "…"`."""
_BETWEEN_TAGS = rf"(?:&(?:quot|#34|#39|#x27);|{_WITHIN}|\s{{1,80}}+|[\"']|</?[A-Za-z][^<>]{{0,300}}>){{1,12}}+"
"""The same in HTML: a label and its value may be elements one after another."""


def _after(gap: str) -> re.Pattern[str]:
    return re.compile(rf"(?P<between>(?:{gap})(?:(?:{_WORDS})(?:{gap})){{0,3}}){_VALUE}")


_AFTER_IN_TEXT, _AFTER_IN_CODE, _AFTER_IN_MARKUP = map(_after, (_OPEN, _WITHIN, _BETWEEN_TAGS))


def in_adjacent(text: str, decider: Decider, is_code: bool) -> str:
    """Replace random values after secret names; in code or JSON, only within a string or a default."""
    after = _AFTER_IN_TEXT if not is_code else _AFTER_IN_MARKUP if "</" in text else _AFTER_IN_CODE
    pieces: list[str] = []
    done = 0
    for at, stem in secret_words(text):
        if at < done:
            continue
        name_end = _REST.match(text, at + len(stem)).end()  # type: ignore[union-attr] # matches anything
        found = after.match(text, name_end)
        if found is None:
            continue
        name = stem.replace(" ", "_") if " " in stem else last_name(text[max(done, at - MAX_NAME_LENGTH) : name_end])
        if decider.grade(name, Place.MEMBER) < Grade.TOKEN:
            continue
        value = found["value"]
        is_urn = found["between"] == ":" and text[at - 1 : at] == ":"  # arn:aws:secretsmanager:…:secret:NAME
        if is_urn or not (any(map(str.isdigit, value)) or len(value) >= MIN_LETTERS):
            continue
        replaced = decider.replace(name, value, Place.CODE)
        if replaced != value:
            pieces += (text[done : found.start("value")], replaced)
            done = found.end()
    return "".join((*pieces, text[done:])) if pieces else text
