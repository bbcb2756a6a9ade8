"""Find words in a text that are or end the names of secrets, faster than a search for all names."""

import re
from bisect import bisect
from collections.abc import Iterator
from functools import lru_cache

from proxy_policies.capture.secrets.marks import compile_marks, has_any
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER

_STEMS = (
    *("passw", "passphrase", "passcode", "pwd", "secret", "token", "session", "credential", "kennwort", "contrase"),
    *(
        "парол",
        "密码",
        "密碼",
        "パスワード",
        "비밀번호",
        "hasło",
        "heslo",
        "lösenord",
        "salasana",
        "şifre",
        "jelszó",
        "lozinka",
    ),
    *("api_key", "apikey", "api-key", "api key", "access_key", "accesskey", "access-key", "access key"),
    *("private_key", "privatekey", "private-key", "jwt"),
)
"""The beginnings of words that hardly any other texts have: `auth` and `pin` are parts of many words."""
_STEM_MARKS = compile_marks(*_STEMS)
_ANY_STEM = re.compile("|".join(map(re.escape, _STEMS)), re.IGNORECASE)


def may_have_secret_word(text: str) -> bool:
    """Return whether a text has a stem of a secret name."""
    return has_any(text.lower(), _STEM_MARKS)


@lru_cache(1)  # several modules search the same text
def secret_words(text: str) -> list[tuple[int, str]]:
    """Return the index of each stem of a secret name, in order, with the stem in lower case; not in placeholders."""
    placeholders = [found.span() for found in PLACEHOLDER.finditer(text)]
    found = sorted(_stems(text))
    if not placeholders:
        return found
    starts = [start for start, _ in placeholders]
    return [
        (at, stem) for at, stem in found if (number := bisect(starts, at)) == 0 or at >= placeholders[number - 1][1]
    ]


def _stems(text: str) -> Iterator[tuple[int, str]]:
    lower = text.lower()
    if len(lower) != len(text):  # as with İ, which has two characters in lower case
        yield from ((found.start(), found[0].lower()) for found in _ANY_STEM.finditer(text))
        return
    for stem in _STEMS:
        at = lower.find(stem)
        while at >= 0:
            yield at, stem
            at = lower.find(stem, at + len(stem))
