"""Classify a value by its form: not a secret, random, and its kind for comparisons."""

import base64
import binascii
import math
import re
from functools import lru_cache

from proxy_policies.capture.secrets import word_model

BOOLEANS = frozenset(["true", "false", "yes", "no", "on", "off", "null", "none", "nil", "undefined", "0", "1"])
PLAIN_WORDS = BOOLEANS | frozenset(
    [
        "nan",
        "ok",
        "active",
        "inactive",
        "expired",
        "valid",
        "invalid",
        "required",
        "optional",
        "basic",
        "bearer",
        "digest",
        "negotiate",
        "mac",
        "enabled",
        "disabled",
        "missing",
        "present",
        "unknown",
        "pending",
        "success",
        "failed",
        "failure",
        "error",
        "string",
        "number",
        "integer",
        "boolean",
        "object",
        "array",
        "password",
        "text",
        "cookie",
        "token",
        "session",
        "header",
        "query",
        "body",
        "public",
        "private",
        "read",
        "write",
        "admin",
        "user",
        "guest",
        "anonymous",
        "default",
        "auto",
        "manual",
        "strict",
        "lax",
        "jwt",
        "oauth",
        "oauth2",
        "saml",
        "ldap",
        "local",
        "deleted",
        "login",
        "logout",
        "signin",
        "signup",
        "include",
        "omit",
        "same-origin",
        "secret",
        "hidden",
        "redacted",
        "authentication",
        "authorization",
        "authenticated",
        "unauthenticated",
        "unauthorized",
        "credentials",
    ]
)
"""Values of secret names that are a state, a kind or a label."""
MAX_WORD_LENGTH = 4  # letters of a word: `mac`, `none`
MIN_NUMBER_LENGTH = 6  # digits; fewer are a count or a small identifier
LENGTHS = (8, 16, 32, 64, 128, 256, 512)
"""The upper bounds of the length classes; the last class includes all longer values."""

_DATE = re.compile(
    r"(?:\d{4}-\d\d(?:-\d\d(?:[T ]\d\d:?\d\d(?::?\d\d(?:[.,]\d+)?)?\s?(?:Z|UTC|GMT|[+-]\d\d:?\d\d)?)?)?)"
    r"|(?:\d{8}T\d{4,6}Z?)"
    r"|(?:\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?)"
    r"|(?:\d{1,2}[./]\d{1,2}[./]\d{2,4})"
    r"|(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? \d{1,2}[ -][A-Z][a-z]{2}[ -]\d{2,4} \d\d:\d\d:\d\d"
    r" ?(?:GMT|UTC|[+-]\d{4})?)"
    r"|(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (?:[A-Z]{3,4} )?\d{4})"
)
_MASK = re.compile(r"([^\w\s])\1*|\$?[\[({<]{1,2}[A-Za-z _.-]*[\])}>]{1,2}")
"""What stands in place of a secret: `********`, `[FILTERED]`, `${TOKEN}`."""
_PARTLY_MASKED = re.compile(r".{0,8}(?:[*\u2022]{3,}|\u2026|\.{3}).{0,8}|(\w)\1{7,}")
"""A token of which some characters are shown, or only how long it is: `sk_live_...1234`, `xxxxxxxx`."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[\w.\[\]:@%-]+(?:[/?#][^\s\"'<>]*)?")
_PATH = re.compile(r"(?://[\w-]+(?:\.[\w-]+)+)?/[\w./-]*(?:[?#]\S*)?")
_FILE = re.compile(r"[\w-]+(?:/[\w.-]+)*/[\w-]+\.[A-Za-z]{2,4}")
"""A relative path, as object stores have under `storageKey`; keys of Azure's storage are base64, without a dot."""
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+(?:[eE][+-]?\d+)?)?")  # 12e4567890123456 may be hexadecimal
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}(?::\d+)?|\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?")
_LABEL = re.compile(r"[A-ZÀ-Þ](?:[a-zß-ÿ]{1,20}|[A-ZÀ-Þ]{1,8})?(?:[ '\u2019,:!?/-]+[^\W\d_]+)+[ .:!?…]*")
_SHORT_LABEL = re.compile(r"[A-ZÀ-Þ](?:[a-zß-ÿ]{1,9}|[A-ZÀ-Þ]{1,8})[:!?…]?")
_PROSE = re.compile(r"[^\W\d_]+(?:[ '\u2019,:;!?()-]+(?:[^\W\d_]+|\d+)){2,}[ .:!?…)]*")
_WORD_PATH = re.compile(r"(?:/(?:[a-z]+|v\d))+/?")
_SCOPE = re.compile(r"[a-z]+(?:[:.][a-z]+)+")  # OAuth: read:pets
_SPACE = re.compile(r"\s")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}")
_BORDER = re.compile(r"(?<=[A-Za-z])[0-9]|(?<=[0-9])[A-Za-z]")
_JWT = re.compile(r"(eyJ[\w-]+)\.[\w-]+\.[\w-]*", re.ASCII)
_KINDS = (
    ("uuid", re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")),
    ("digits", re.compile(r"-?\d+(?:\.\d+)?")),
    ("hex", re.compile(r"(?:[0-9a-f]{2})+|(?:[0-9A-F]{2})+")),
    ("word", re.compile(r"[^\W\d_]+")),
    ("token", re.compile(r"[\w.~+/=,%-]+", re.ASCII)),
)


_HEX = re.compile(r"[0-9a-f-]+|[0-9A-F-]+")
_CODE = re.compile(
    "|".join(
        rf"(?:[{letters}]+\d{{0,2}}|\d+)(?:[-_/](?:[{letters}]+\d{{0,2}}|\d+)){{2,}}" for letters in ("a-z", "A-Z")
    )
)
"""Slugs and order numbers, such as `nike-air-max-90`, `INV-2026-000123`."""

MIN_TOKEN_LENGTH = 11  # characters of secrets.token_urlsafe(8): 64 bits, the minimum for a session (OWASP)
MIN_LONG_LENGTH = 16  # characters of 12 bytes in base64, and of 8 in hexadecimal
MAX_JUDGED_LENGTH = 128
MIN_SAVED_BITS = 25.0
"""Bits that a text of words must save in `word_model` compared with a random one: at most one random text in 2^25 does,
and at most one in thirty of these has just that length, together 1 in 10^9."""
MIN_SAVED_BITS_SHORT = 12.0
"""The same for shorter texts, 1 in 10^6: `sort_by_date2` and `billing-step` are too short to save more bits."""
_RANDOM_PIECE = re.compile(rf"[A-Za-z0-9_+/,-]{{{MIN_TOKEN_LENGTH},}}")


def is_plain(value: str) -> bool:
    """Return whether a value is not a secret under any name: empty, a mask, a boolean, a date or a URL."""
    text = value.strip()
    if not text or text.lower() in BOOLEANS:
        return True
    return bool(_MASK.fullmatch(text) or _DATE.fullmatch(text)) or is_url(text)


def is_url(text: str) -> bool:
    """Return whether a text is a URL with a scheme."""
    return bool(_URL.fullmatch(text))


def is_word_or_count(value: str) -> bool:
    """Return whether a value is a short word, a small number, a mask, a path or several words, and so not a token."""
    text = value.strip()
    if is_partly_masked(text):
        return True
    if text.isdigit():
        return len(text) < MIN_NUMBER_LENGTH
    if _PATH.fullmatch(text):
        return bool(_WORD_PATH.fullmatch(text)) or not (_BASE64.fullmatch(text) or is_random(text))
    if _FILE.fullmatch(text) and not is_random(text):
        return True
    is_short = text.isalpha() and len(text) <= MAX_WORD_LENGTH
    if text.lower() in PLAIN_WORDS or is_short or _SCOPE.fullmatch(text):
        return True
    return _has_space(text) and bool(_PROSE.fullmatch(text))


def is_partly_masked(text: str) -> bool:
    """Return whether a text is a token with most of its characters left out, or replaced by one."""
    return bool(_PARTLY_MASKED.fullmatch(text))


def is_label(value: str) -> bool:
    """Return whether a value is a label or a message about a secret in a response: `Your password`, `is too short`.

    Generated tokens have no spaces, no letters beyond ASCII, and are longer than `PIN`. A value that only looks like a
    word may be random: one in 20 000 of `secrets.token_urlsafe(8)` is a capital and lower-case letters.
    """
    if value.lower() in PLAIN_WORDS or _SHORT_LABEL.fullmatch(value):
        return True
    is_foreign = value.isalpha() and not value.isascii()
    is_text = _has_space(value) and bool(_LABEL.fullmatch(value) or _PROSE.fullmatch(value) or _are_words(value))
    return is_foreign or (is_text and not is_random(value))


def _are_words(value: str) -> bool:
    return all(map(word_model.is_known_word, value.split()))


def is_word(value: str) -> bool:
    """Return whether a value is a word or a part of one, such as a token of a language model.

    Generated secrets have more characters than the shortest of these.
    """
    text = value.strip(" \n.,:;!?'\"()\u0120\u2581")
    return len(text) < 6 or (text.isalpha() and (len(text) < 8 or word_model.is_known_word(text)))


def _has_space(text: str) -> bool:
    return _SPACE.search(text) is not None


def is_random(value: str) -> bool:
    """Return whether a value is almost certainly random; words, dates, hosts and numbers are not."""
    text = value.strip()
    if len(text) < 8 or _NUMBER.fullmatch(text) or _DATE.fullmatch(text) or _HOST.fullmatch(text):
        return False
    pieces = _RANDOM_PIECE.findall(text)
    if not pieces:
        return len(_BORDER.findall(text)) >= 3
    return any(_is_random_piece(piece[:MAX_JUDGED_LENGTH]) for piece in pieces)


@lru_cache(8192)  # cookies and names repeat with every exchange
def _is_random_piece(text: str) -> bool:
    if not any(character.isalpha() for character in text) or len(set(text)) == 1:
        return False
    min_saved_bits = (
        0 if _CODE.fullmatch(text) else MIN_SAVED_BITS if len(text) >= MIN_LONG_LENGTH else MIN_SAVED_BITS_SHORT
    )
    return _random_bits(text) - word_model.bits(text) < min_saved_bits


def _random_bits(text: str) -> float:
    """Return the bits of a random text of the smallest alphabet that includes this one's characters."""
    if _HEX.fullmatch(text):
        return 4.0 * sum(character != "-" for character in text)
    is_base36 = text.isalnum() and not (text.upper() != text and text.lower() != text)
    return len(text) * (math.log2(36) if is_base36 else 6.0)


def secret_kind(value: str) -> str:
    """Return the kind of a secret: `jwt`, `uuid`, `digits`, `hex`, `word`, `token` or `text`."""
    return "jwt" if _is_jwt(value) else next((name for name, pattern in _KINDS if pattern.fullmatch(value)), "text")


def _is_jwt(value: str) -> bool:
    """Return whether a value has a header with `alg` (RFC 7515 section 4.1.1), unlike Flask's signed cookies."""
    found = _JWT.fullmatch(value)
    if found is None:
        return False
    try:
        return b'"alg"' in base64.urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4))
    except binascii.Error:
        return False


def length_class(value: str) -> int:
    """Return the length class of a value: the smallest of LENGTHS that is not below its length, else the last."""
    return next((length for length in LENGTHS if len(value) <= length), LENGTHS[-1])
