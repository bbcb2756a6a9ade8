"""Prove at little cost that most contents have no secrets, so that they need not be searched.

Each search finds the name of a secret, a word of a notation in which values have no names, credentials in a URL, or a
text in base64. The tokens of an API are few, if all digits count as the same: each is judged once.
"""

import re
from enum import IntEnum, auto
from functools import lru_cache
from string import ascii_letters, digits

from proxy_policies.capture.secrets.marks import rarest
from proxy_policies.capture.secrets.names import ENDINGS, PASSWORDS, PERHAPS, TOKENS, words
from proxy_policies.capture.secrets.redact_base64 import has_texts, may_be_text
from proxy_policies.capture.secrets.redact_calls import LOGIN_WORDS
from proxy_policies.capture.secrets.redact_commands import PASSWORD_FLAGS, PGPASS_MARKS, REDIS_WORDS
from proxy_policies.capture.secrets.redact_folded import FOLDED_START
from proxy_policies.capture.secrets.redact_paths import PATH_WORDS, SIGN_IN_PATH
from proxy_policies.capture.secrets.shapes import CRYPT_START, STARTS, in_shapes

MAX_TOKENS = 1 << 14
"""Maximum number of judged tokens."""
MIN_GROUPED = 512
"""Bytes from which on it takes less time to find equal groups and parts than to take all tokens."""
MAX_WORD_LENGTH = 60  # letters; of longer names, searches read only the end
_IN_WORDS = frozenset((*ascii_letters.encode(), *range(9), 11, 12, *range(14, 32), *range(127, 256)))
"""The bytes of words: letters, also beyond ASCII, and control characters, which texts do not have."""
_JOINING = b"+/-_"
"""The other characters of base64, which with words and digits make a token."""
_PART_ENDS = b",;&<>"
"""Characters between parts that are often the same but for digits, such as members of an object."""
_GROUP_ENDS = b"}\n"
"""Characters between groups of parts that are, such as the objects in a list."""


def _in_token(byte: int) -> int:
    if byte in _IN_WORDS or byte in _JOINING:
        return byte
    if byte in digits.encode():
        return b"0"[0]
    return b"\n"[0] if byte in _GROUP_ENDS else b"\r"[0] if byte in _PART_ENDS else b" "[0]


_TOKENS = bytes(map(_in_token, range(256)))
_WORDS = bytes(byte if byte in _IN_WORDS else b" "[0] for byte in range(256))
_PERCENT, _BACKSLASH, _AMPERSAND, _EQUALS, _AT, _LESS_THAN, _DOLLAR, _SLASH = b"%\\&=@<$/"
"""As integers, which bytes are searched for in a fifth of the time."""
_PERCENT_ESCAPE = re.compile(rb"%(?!20)")
_LETTER_ESCAPE = re.compile(rb"\\u(?!20|[dD][89a-fA-F])")
"""An escape of a letter in JSON, not of punctuation or of an emoji."""
_PGPASS = tuple((ord(rarest(mark)), mark.encode()) for mark in PGPASS_MARKS)
_QUOTED_PRINTABLE = b"=3D"
_SIGN_IN_PATH = re.compile(SIGN_IN_PATH.pattern.encode())
_USERINFO = re.compile(rb"://[^/?#@\s\"'<>]+@")
_FLAG = re.compile(rb"(?:[\s\"']|\\[nrt])-\w")
_SECRET_WORDS = PASSWORDS | TOKENS | PERHAPS | {"key"}
_JOINED_WORDS = TOKENS | PERHAPS
"""Names of secrets that may be written as several words: `sess_id`, `card number`."""
_JOINED_LETTERS = [(name, frozenset(name)) for name in sorted(_JOINED_WORDS)]
_ENDINGS = tuple(ending for endings in ENDINGS.values() for ending in endings)
_NOTATION_WORDS = frozenset(("basic", "identified", "params", "methodname", "convertto", "form", "kty"))
"""Words before or around values without a name: credentials in a line, SQL, arguments in a list, uploads."""
_NOTATION_PARTS = ("curl", "oracle", "sqlplus", "contrase", *PATH_WORDS, *REDIS_WORDS)
_PROGRAMS = tuple(program.partition(" ")[0].partition("-")[0] for program in PASSWORD_FLAGS)
_PIECES = frozenset(
    name[start:end] for name in _JOINED_WORDS for start in range(len(name)) for end in range(start + 1, len(name) + 1)
)
_ESCAPED_LETTERS = ("b", "f", "n", "r", "t")
"""Letters after a backslash in JSON, after which a word may begin."""


class _Hint(IntEnum):
    """Of what a token may be a part. An integer, as a member of another Enum is hashed by a function in Python."""

    NOTHING = auto()
    SECRET = auto()
    """Of a secret, of its name, or of a notation that is searched."""
    CALL = auto()
    """Of a call that passes a password, if the client sent it."""
    COMMAND = auto()
    """Of a command that passes a password, if there is a flag."""
    SHAPE = auto()
    """Of a secret with a shape."""
    TEXT = auto()
    """Of a text in base64 or hexadecimal."""


type Pieces = frozenset[str]
"""Parts of names of secrets that are several words, such as `sess` and `id`."""

_NO_PIECES: Pieces = frozenset()
type Judgement = tuple[frozenset[_Hint], Pieces]

_SECRET: Judgement = (frozenset([_Hint.SECRET]), _NO_PIECES)
_HARMLESS: Judgement = (frozenset(), _NO_PIECES)
_secret: set[bytes] = set()
"""Judged tokens that hint at a secret by themselves."""
_harmless: set[bytes] = set()
"""Judged tokens that are no hint and no piece."""
_judged: dict[bytes, Judgement] = {}
"""All other judged tokens."""


def is_harmless(content: bytes, is_response: bool, is_markup: bool) -> bool:
    """Return True only if no search would find a secret in content, without the user's rules.

    Its charset must be ASCII or a superset of it. `is_markup` means that the media type is that of XML or HTML.
    """
    return not (
        FOLDED_START.match(content)
        or (_PERCENT in content and _PERCENT_ESCAPE.search(content))
        or (_BACKSLASH in content and _LETTER_ESCAPE.search(content))
        or (_AMPERSAND in content and b"&#" in content)
        or (_EQUALS in content and _QUOTED_PRINTABLE in content)
        or (_AT in content and _USERINFO.search(content))
        or any([byte in content and mark in content for byte, mark in _PGPASS])
        or (_DOLLAR in content and CRYPT_START.search(content))
        or (_SLASH in content and _SIGN_IN_PATH.search(content))
        or (_LESS_THAN in content and not (is_markup and _ends_outside_tags(content)))
        or _has_hint(content, is_response)
    )


def _ends_outside_tags(content: bytes) -> bool:
    """Return whether no tag is cut off, at the end or in a string: its attributes may have values without a name."""
    return _BACKSLASH not in content and content.rfind(b"<") < content.rfind(b">")


def _has_hint(content: bytes, is_response: bool) -> bool:
    """Return whether a token hints at a secret, and what else it needs is there, too."""
    joined = content.replace(b"\\/", b"/") if _BACKSLASH in content else content
    text = joined.translate(_TOKENS)
    if len(text) > MIN_GROUPED:
        groups = set(text.split(b"\n"))
        text = b" ".join(set(b"\r".join(groups).split(b"\r")))
    tokens = set(text.split())
    if tokens <= _harmless:
        return False
    if not _secret.isdisjoint(tokens):
        return True
    return _have_hint(tokens - _harmless, content, is_response)


def _have_hint(tokens: set[bytes], content: bytes, is_response: bool) -> bool:
    hints: set[_Hint] = set()
    pieces: set[str] = set()
    for token in tokens:
        token_hints, token_pieces = _judge(token)
        if _Hint.SECRET in token_hints:
            return True
        hints |= token_hints
        pieces |= token_pieces
    return bool(
        (_Hint.CALL in hints and not is_response)
        or (_Hint.COMMAND in hints and _FLAG.search(content))
        or (pieces and _has_joined_name(content, frozenset(pieces)))
        or (_Hint.SHAPE in hints and _has_shape(content.decode("latin-1")))
        or (_Hint.TEXT in hints and has_texts(content))
    )


def _has_shape(text: str) -> bool:
    return in_shapes(text, lambda _: "") != text


def _judge(token: bytes) -> Judgement:
    if (judged := _judged.get(token)) is not None:
        return judged
    if len(_judged) + len(_harmless) + len(_secret) >= MAX_TOKENS:
        for tokens_of_kind in (_judged, _harmless, _secret):
            tokens_of_kind.clear()
    judged = _judge_words(token)
    if _Hint.SECRET in judged[0]:
        _secret.add(token)
    elif judged == _HARMLESS:
        _harmless.add(token)
    else:
        _judged[token] = judged
    return judged


def _judge_words(token: bytes) -> Judgement:
    """Return what the words of a token hint at, and whether it may be a text in base64 or hexadecimal."""
    hints = {_Hint.TEXT} if may_be_text(token) else set()
    pieces: set[str] = set()
    for word in token.translate(_WORDS).split():
        hint, word_pieces = _judge_word(word)
        if hint is _Hint.SECRET:
            return _SECRET
        hints.add(hint)
        pieces |= word_pieces
    return frozenset(hints - {_Hint.NOTHING}), frozenset(pieces)


@lru_cache(MAX_TOKENS)
def _judge_word(word: bytes) -> tuple[_Hint, Pieces]:
    text = word.decode("utf-8", "replace")
    is_text = text.isprintable() and len(text.casefold().encode()) == len(word)  # the sign of Kelvin is no k
    return _judge_text(text) if is_text and len(word) <= MAX_WORD_LENGTH else (_Hint.SECRET, _NO_PIECES)


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
    letters = frozenset().union(*pieces)
    return tuple(name for name, its_letters in _JOINED_LETTERS if its_letters <= letters and _consists_of(name, pieces))


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
