"""The placeholders that stand for secrets: `secret_1f0c2d3e4b5a6978_hex032`.

A placeholder is keyed (HMAC-SHA256 over the secret): the same secret gives the same one, so matching and
correlation go on working, and nobody without the key can try passwords against it. It says what kind of value it
stands for, and the class of its length, so that a comparison notices when a token is a token no more.
"""

import hashlib
import hmac
import re

from proxy_policies.capture.secrets.values import kind_of, length_class

PLACEHOLDER = re.compile(r"secret_[0-9a-f]{16}(?:_[a-z]+[0-9]{3})?")
"""The kind is missing in captures of earlier versions."""
_IDENTITY_LENGTH = len("secret_") + 16


def identity(placeholder: str) -> str:
    """Return the part that is the same for the same secret, in captures of every version; any other text as it is."""
    return placeholder[:_IDENTITY_LENGTH] if PLACEHOLDER.fullmatch(placeholder) else placeholder


def without_kinds(text: str) -> str:
    """Return the text with each placeholder cut to its identity."""
    return PLACEHOLDER.sub(lambda found: identity(found[0]), text) if "secret_" in text else text


def kind(placeholder: str) -> str:
    """Return the kind and length of what it stands for, as `hex032`; empty when it does not say."""
    return placeholder[_IDENTITY_LENGTH + 1 :]


class Placeholders:
    """Makes placeholders with one key of at least 16 octets."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.key_id = hashlib.sha256(b"proxy-policies key id " + key).hexdigest()[:12]

    def of(self, secret: str) -> str:
        """Return the placeholder of a secret; a placeholder stands for itself, so redacting again changes nothing."""
        if not secret or PLACEHOLDER.fullmatch(secret):
            return secret
        digest = hmac.digest(self._key, secret.encode("utf-8", "surrogatepass"), "sha256").hex()[:16]
        return f"secret_{digest}_{kind_of(secret)}{length_class(secret):03d}"
