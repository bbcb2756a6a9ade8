"""Placeholders of secrets, such as `secret_1f0c2d3e4b5a6978_hex032`.

A placeholder is keyed (HMAC-SHA256 of the secret): the same secret has the same placeholder, as matching and
correlation need, and passwords cannot be tried against it without the key. It ends with the kind and the length
class of the secret, so that a comparison detects that a value is no longer a token.
"""

import hashlib
import hmac
import re

from proxy_policies.capture.secrets.values import length_class, secret_kind

PLACEHOLDER = re.compile(r"secret_[0-9a-f]{16}(?:_[a-z]+[0-9]{3})?")
"""Captures of earlier versions have placeholders without a kind."""
_IDENTITY_LENGTH = len("secret_") + 16


def identity(placeholder: str) -> str:
    """Return the part of a placeholder that is equal in captures of all versions; any other text unchanged."""
    return placeholder[:_IDENTITY_LENGTH] if PLACEHOLDER.fullmatch(placeholder) else placeholder


def without_kinds(text: str) -> str:
    """Return a text with each placeholder shortened to its identity."""
    return PLACEHOLDER.sub(lambda found: identity(found[0]), text) if "secret_" in text else text


def kind(placeholder: str) -> str:
    """Return the kind and length class of a placeholder, such as `hex032`; empty if it has none."""
    return placeholder[_IDENTITY_LENGTH + 1 :]


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
