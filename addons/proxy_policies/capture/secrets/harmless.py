"""Prove at little cost that most contents have no secrets, so that they need not be searched.

Each search finds the name of a secret, a word of a notation in which values have no names, credentials in a URL, or a
text in base64. The words of an API are few: each is judged once.
"""

import re
from enum import Enum, auto
from functools import lru_cache
from string import ascii_letters

from proxy_policies.capture.secrets.names import ENDINGS, PASSWORDS, PERHAPS, TOKENS, words
from proxy_policies.capture.secrets.redact_base64 import has_texts
from proxy_policies.capture.secrets.redact_calls import LOGIN_WORDS
from proxy_policies.capture.secrets.redact_commands import PASSWORD_FLAGS
from proxy_policies.capture.secrets.redact_text import PATH_WORDS
from proxy_policies.capture.secrets.shapes import STARTS, in_shapes

MAX_WORDS = 1 << 14
"""Maximum number of judged words."""
MAX_WORD_LENGTH = 60  # letters; of longer names, searches read only the end
_IN_WORDS = frozenset((*ascii_letters.encode(), *range(9), 11, 12, *range(14, 32), *range(127, 256)))
"""The bytes of words: letters, also beyond ASCII, and control characters, which texts do not have."""
_SEPARATED = bytes(byte if byte in _IN_WORDS else b" "[0] for byte in range(256))
_PERCENT_ESCAPE = re.compile(rb"%(?!20)")
_LETTER_ESCAPE = re.compile(rb"\\u(?!20|[dD][89a-fA-F])")
"""An escape of a letter in JSON, not of punctuation or of an emoji."""
_QUOTED_PRINTABLE = b"=3D"
_USERINFO = re.compile(rb"://[^/?#@\s\"'<>]+@")
_FLAG = re.compile(rb"(?:[\s\"']|\\[nrt])-\w")
_SECRET_WORDS = PASSWORDS | TOKENS | PERHAPS | {"key"}
_JOINED_WORDS = TOKENS | PERHAPS
"""Names of secrets that may be written as several words: `sess_id`, `card number`."""
_ENDINGS = tuple(ending for endings in ENDINGS.values() for ending in endings)
_FREQUENT_WORDS = (b"token", b"csrf", b"session", b"password")
"""Words of most contents with a secret, which are searched for first."""
_NOTATION_WORDS = frozenset(("basic", "identified", "params", "methodname", "convertto", "form"))
"""Words before or around values without a name: credentials in a line, SQL, arguments in a list, uploads."""
_NOTATION_PARTS = ("curl", "oracle", "sqlplus", "contrase", *PATH_WORDS)
_PROGRAMS = tuple(program.partition(" ")[0].partition("-")[0] for program in PASSWORD_FLAGS)
_PIECES = frozenset(
    name[start:end] for name in _JOINED_WORDS for start in range(len(name)) for end in range(start + 1, len(name) + 1)
)
_ESCAPED_LETTERS = ("b", "f", "n", "r", "t")
"""Letters after a backslash in JSON, after which a word may begin."""


class _Hint(Enum):
    """Of what a word may be a part."""

    NOTHING = auto()
    SECRET = auto()
    """Of a secret, of its name, or of a notation that is searched."""
    CALL = auto()
    """Of a call that passes a password, if the client sent it."""
    COMMAND = auto()
    """Of a command that passes a password, if there is a flag."""
    SHAPE = auto()
    """Of a secret with a shape."""


type Pieces = frozenset[str]
"""Parts of names of secrets that are several words, such as `sess` and `id`."""

_NO_PIECES: Pieces = frozenset()
_secret: set[bytes] = set()
"""Judged words that hint at a secret by themselves."""
_harmless: set[bytes] = set()
"""Judged words that are no hint and no piece."""
_judged: dict[bytes, tuple[_Hint, Pieces]] = {}
"""All other judged words."""


def is_harmless(content: bytes, is_response: bool, is_markup: bool) -> bool:
    """Return True only if no search would find a secret in content, without the user's rules.

    Its charset must be ASCII or a superset of it. `is_markup` means that the media type is that of XML or HTML.
    """
    for word in _FREQUENT_WORDS:
        if word in content:
            return False
    return not (
        (b"%" in content and _PERCENT_ESCAPE.search(content))
        or (b"\\" in content and _LETTER_ESCAPE.search(content))
        or (b"&" in content and b"&#" in content)
        or (b"=" in content and _QUOTED_PRINTABLE in content)
        or (b"@" in content and _USERINFO.search(content))
        or (b"<" in content and not (is_markup and _ends_outside_tags(content)))
        or _has_hint(content, is_response)
        or has_texts(content)
    )


def _ends_outside_tags(content: bytes) -> bool:
    """Return whether no tag is cut off, at the end or in a string: its attributes may have values without a name."""
    return b"\\" not in content and content.rfind(b"<") < content.rfind(b">")


def _has_hint(content: bytes, is_response: bool) -> bool:
    """Return whether a word hints at a secret, and what else it needs is there, too."""
    found = set(content.translate(_SEPARATED).split())
    if not found.isdisjoint(_secret):
        return True
    hints: set[_Hint] = set()
    pieces: set[str] = set()
    for word in found - _harmless:
        hint, word_pieces = _judge(word)
        if hint is _Hint.SECRET:
            return True
        hints.add(hint)
        pieces |= word_pieces
    return bool(
        (_Hint.CALL in hints and not is_response)
        or (_Hint.COMMAND in hints and _FLAG.search(content))
        or (pieces and _has_joined_name(content, frozenset(pieces)))
        or (_Hint.SHAPE in hints and _has_shape(content.decode("latin-1")))
    )


def _has_shape(text: str) -> bool:
    return in_shapes(text, lambda _: "") != text


def _judge(word: bytes) -> tuple[_Hint, Pieces]:
    if (judged := _judged.get(word)) is not None:
        return judged
    text = word.decode("utf-8", "replace")
    is_text = text.isprintable() and len(text.casefold().encode()) == len(word)  # the sign of Kelvin is no k
    if not is_text or len(word) > MAX_WORD_LENGTH:
        return _Hint.SECRET, _NO_PIECES
    if len(_judged) + len(_harmless) + len(_secret) >= MAX_WORDS:
        for words_of_kind in (_judged, _harmless, _secret):
            words_of_kind.clear()
    judged = hint, pieces = _judge_text(text)
    if hint is _Hint.SECRET:
        _secret.add(word)
    elif hint is _Hint.NOTHING and not pieces:
        _harmless.add(word)
    else:
        _judged[word] = judged
    return judged


def _judge_text(text: str) -> tuple[_Hint, Pieces]:
    texts = (text, text[1:]) if text[1:] and text.startswith(_ESCAPED_LETTERS) else (text,)
    hint = _hint_of(text)
    if any(_hint_of(after_escape) not in (_Hint.NOTHING, hint) for after_escape in texts[1:]):
        hint = _Hint.SECRET
    return hint, frozenset().union(*map(_pieces_of, texts))


def _pieces_of(text: str) -> Pieces:
    parts = words(text)
    return _PIECES.intersection("".join(parts[:count]) for count in range(1, len(parts) + 1))


def _hint_of(text: str) -> _Hint:
    lower = text.lower()
    parts = (*words(text), lower)
    if any(part.endswith(_ENDINGS) or not _SECRET_WORDS.isdisjoint((part, part.removesuffix("s"))) for part in parts):
        return _Hint.SECRET
    if lower in _NOTATION_WORDS or text == "LOGIN" or any(map(lower.__contains__, _NOTATION_PARTS)):
        return _Hint.SECRET
    if lower in LOGIN_WORDS:
        return _Hint.CALL
    if text.startswith(STARTS):
        return _Hint.SHAPE
    return _Hint.COMMAND if lower.startswith(_PROGRAMS) else _Hint.NOTHING


def _has_joined_name(content: bytes, pieces: Pieces) -> bool:
    """Return whether some pieces follow each other as in the name of a secret."""
    return any(_joined(name).search(content) for name in _joined_names(pieces))


@lru_cache(1024)
def _joined_names(pieces: Pieces) -> tuple[str, ...]:
    """Return the names of secrets that consist of some of these pieces."""
    return tuple(name for name in sorted(_JOINED_WORDS) if _consists_of(name, pieces))


def _consists_of(name: str, pieces: Pieces) -> bool:
    ends = {0}
    for start in range(len(name)):
        if start in ends:
            ends |= {start + len(piece) for piece in pieces if name.startswith(piece, start)}
    return len(name) in ends


@lru_cache
def _joined(name: str) -> re.Pattern[bytes]:
    letters = rb"[^A-Za-z0-9]*+".join(letter.encode() for letter in name)
    return re.compile(rb"(?:(?<![A-Za-z])|(?<=\\[bfnrt]))" + letters, re.IGNORECASE)
