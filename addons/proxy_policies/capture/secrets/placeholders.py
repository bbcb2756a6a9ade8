"""Placeholders of secrets, such as `secret_1f0c2d3e4b5a6978_hex032`.

A placeholder is keyed (HMAC-SHA256 of the secret): the same secret has the same placeholder, as matching and
correlation need, and passwords cannot be tried against it without the key. It ends with the kind and the length
class of the secret, so that a comparison detects that a value is no longer a token.

The placeholder of a number in JSON is a string of the kind `num`; what is sent has a number in its place. In captures
of earlier versions, it has the kind `number`, as strings of digits have.
"""

import hashlib
import hmac
import re
from collections.abc import Callable

from proxy_policies.capture.secrets.values import length_class, secret_kind

PLACEHOLDER = re.compile(r"secret_[0-9a-f]{16}(?:_[a-z]+[0-9]{3})?")
"""Captures of earlier versions have placeholders without a kind."""
_IDENTITY_LENGTH = len("secret_") + 16
_NUMBER = re.compile(r"secret_[0-9a-f]{16}_num\d{3}")
_QUOTED_NUMBER = re.compile(rf"(?P<slashes>\\*)\"(?P<placeholder>{_NUMBER.pattern})(?P=slashes)\"")
_DIGITS_KIND, _NUMBER_KIND = "_digits", "_num"


def identity(placeholder: str) -> str:
    """Return the part of a placeholder that is equal in captures of all versions; any other text unchanged."""
    return placeholder[:_IDENTITY_LENGTH] if PLACEHOLDER.fullmatch(placeholder) else placeholder


def without_kinds(text: str) -> str:
    """Return a text with each placeholder shortened to its identity."""
    return PLACEHOLDER.sub(lambda found: identity(found[0]), text) if "secret_" in text else text


def kind(placeholder: str) -> str:
    """Return the kind and length class of a placeholder, such as `hex032`; empty if it has none."""
    return placeholder[_IDENTITY_LENGTH + 1 :]


def as_number(placeholder: str) -> str:
    """Return the placeholder of a number in JSON with the same digits as this one's secret."""
    return placeholder.replace(_DIGITS_KIND, _NUMBER_KIND)


def as_digits(placeholder: str) -> str:
    """Return the placeholder of a text with the same digits as this one's number."""
    return placeholder.replace(_NUMBER_KIND, _DIGITS_KIND) if is_number(placeholder) else placeholder


def is_number(value: object) -> bool:
    """Return whether a value in JSON is the placeholder of a number."""
    return isinstance(value, str) and _NUMBER.fullmatch(value) is not None


def may_be_number(value: object) -> bool:
    """Return whether a value in JSON is the placeholder of a number, or may be one of an earlier version."""
    return isinstance(value, str) and bool(PLACEHOLDER.fullmatch(value)) and kind(value).startswith("num")


def fill_numbers(content: bytes, number_for: Callable[[str], str]) -> bytes:
    """Return JSON with `number_for(placeholder)` in place of each placeholder of a number, unless that is empty."""
    if _NUMBER_KIND.encode() not in content:
        return content
    filled = _QUOTED_NUMBER.sub(lambda found: number_for(found["placeholder"]) or found[0], content.decode("latin-1"))
    return filled.encode("latin-1")


class Placeholders:
    """Creates placeholders with a key of at least 16 bytes."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.key_id = hashlib.sha256(b"proxy-policies key id " + key).hexdigest()[:12]

    def identity_of(self, secret: str) -> str:
        """Return the identity of a secret's placeholder, or of a placeholder."""
        return identity(secret) if PLACEHOLDER.fullmatch(secret) else self._hashed(secret)

    def _hashed(self, secret: str) -> str:
        return "secret_" + hmac.digest(self._key, secret.encode("utf-8", "surrogatepass"), "sha256").hex()[:16]

    def of(self, secret: str) -> str:
        """Return the placeholder of a secret; a placeholder unchanged, so that redacting again changes nothing."""
        if not secret or PLACEHOLDER.fullmatch(secret):
            return secret
        return f"{self._hashed(secret)}_{secret_kind(secret)}{length_class(secret):03d}"
