"""Redact secrets by their shape, in any place.

Each pattern begins with a literal text, and then tests with a lookbehind whether a word begins there, so that `re`
finds the few candidates as quickly as `str.find`. One pattern for all shapes took 15 times as long.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from proxy_policies.capture.secrets.marks import rarest

_AFTER = {  # by the text before the secret
    "hooks.slack.com/services/": r"[\w/]{20,}",
    "/api/webhooks/": r"\d{10,}/[\w-]{40,}",  # Discord
    "/webhookb2/": r"[\w@-]{20,}(?:/[\w-]+)*",  # Teams
    "/bot": r"\d{6,}:[\w-]{30,}",  # Telegram
    "/private-": r"[0-9a-f]{32}\b",  # a calendar of Google
    "Private-Lines: ": r"\d+(?:(?:\\r)?\\n|\r?\n)(?:[A-Za-z0-9+/=]+(?:(?:\\r)?\\n|\r?\n|\Z))+",  # PuTTY
}
_PREFIXES = {  # by the prefix of the secret
    "eyJ": r"[\w-]{8,}(?:\.[\w-]*){2,4}",  # JSON Web Token (RFC 7519), signed or encrypted
    "gh": r"[pousr]_[A-Za-z0-9]{36,}",  # GitHub
    "github_pat_": r"\w{22,}",
    "gl": r"(?:pat|dt|rt|cbt|ptt|ft)-[\w-]{20,}",  # GitLab
    "sk_": r"(?:live|test)_[A-Za-z0-9]{10,}",  # Stripe
    "rk_": r"(?:live|test)_[A-Za-z0-9]{10,}",
    "whsec_": r"[\w+/=-]{16,}",
    "sk-": r"[\w-]{20,}",  # OpenAI, Anthropic
    "AKIA": r"[0-9A-Z]{16}\b",  # AWS
    "ASIA": r"[0-9A-Z]{16}\b",
    "xox": r"[abeoprs]-[\w-]{10,}",  # Slack
    "xapp-": r"[\w-]{10,}",
    "AIza": r"[\w-]{35}",  # Google
    "ya29.": r"[\w-]{20,}",
    "npm_": r"[A-Za-z0-9]{36}",
    "pypi-": r"[\w-]{16,}",
    "SG.": r"[\w-]{16,}\.[\w-]{16,}",  # SendGrid
    "hf_": r"[A-Za-z0-9]{30,}",  # Hugging Face
    "shp": r"(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",  # Shopify
    "dapi": r"[0-9a-f]{32}",  # Databricks
    "dop_v1_": r"[0-9a-f]{64}",  # DigitalOcean
    "AGE-SECRET-KEY-1": r"[0-9A-Z]{50,}",  # age
    "hvs.": r"[\w-]{24,}",  # Vault
    "{SHA": r"\d{0,3}\}[A-Za-z0-9+/=]{20,}",  # hashes of passwords in LDAP (RFC 2307) and Apache
    "{SSHA": r"\d{0,3}\}[A-Za-z0-9+/=]{20,}",
    "pbkdf2_sha": r"\d+\$\d+\$[\w./]+\$[A-Za-z0-9+/=]{20,}",  # Django
}
_CRYPT = (
    r"\$(?:(?:apr1|[156y]|argon2i?d?)\$(?:[\w./,=+-]{1,99}\$){1,4}[A-Za-z0-9./+]{22,}|2[abxy]\$\d\d\$[A-Za-z0-9./]{53})"
)
"""A hash of a password (crypt(5)), as in `htpasswd` and /etc/shadow."""
CRYPT_START = re.compile(rb"\$(?:apr1|[156y]|2[abxy]|argon2i?d?)\$")
_PUNCTUATION = "_-."
"""Characters that few texts have all of: a shape that requires a missing one is not searched for."""
_PUNCTUATION_AFTER = {"eyJ": ".", "gh": "_", "gl": "-", "xox": "-", "shp": "_"}
"""The required characters after a mark that has none of them."""
_MIN_LENGTH = 13  # characters: a JSON Web Token whose later parts are empty
_PRIVATE_KEY = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
)


def _patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    yield "-----BEGIN ", re.compile(_PRIVATE_KEY)
    for mark, rest in _PREFIXES.items():
        yield mark, re.compile(rf"{re.escape(mark)}(?<!\w{re.escape(mark)}){rest}")
    yield "$", re.compile(_CRYPT)
    for mark, rest in _AFTER.items():
        yield mark, re.compile(rf"(?<={re.escape(mark)}){rest}")


SHAPES = tuple(_patterns())
"""The mark of each shape, which all secrets of this shape contain, and its pattern."""
STARTS = tuple(max(re.findall("[A-Za-z]+", mark), key=len) for mark, _ in SHAPES if mark != "$")
"""With one of these begins a word of each secret with a shape, or a word before it, except a hash of CRYPT_START."""


@lru_cache
def _possible_shapes(*has_punctuation: bool) -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    """Return the shapes possible in a text with these characters of _PUNCTUATION, each with its rarest character."""
    missing = {character for character, is_present in zip(_PUNCTUATION, has_punctuation, strict=True) if not is_present}
    shapes = [found for found in SHAPES if missing.isdisjoint(found[0] + _PUNCTUATION_AFTER.get(found[0], ""))]
    return tuple((rarest(mark), mark, pattern) for mark, pattern in shapes)


def in_shapes(text: str, hide: Callable[[str], str]) -> str:
    """Return a text with each secret, by its shape, replaced by `hide(secret)`."""
    if len(text) < _MIN_LENGTH:
        return text
    for rarest_character, mark, pattern in _possible_shapes("_" in text, "-" in text, "." in text):
        if rarest_character in text and mark in text:
            text = pattern.sub(lambda found: hide(found[0]), text)
    return text
