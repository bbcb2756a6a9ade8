"""The placeholders that stand for secrets.

A placeholder is keyed (HMAC-SHA256 over the secret): the same secret gives the same one, so matching and
correlation go on working, and nobody without the key can try passwords against it.
"""

import hashlib
import hmac
import re

PLACEHOLDER = re.compile(r"secret_[0-9a-f]{16}")


class Placeholders:
    """Makes placeholders with one key of at least 16 octets."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.key_id = hashlib.sha256(b"proxy-policies key id " + key).hexdigest()[:12]

    def of(self, secret: str) -> str:
        """Return the placeholder of a secret; a placeholder stands for itself, so redacting again changes nothing."""
        if not secret or PLACEHOLDER.fullmatch(secret):
            return secret
        return f"secret_{hmac.digest(self._key, secret.encode('utf-8', 'surrogatepass'), 'sha256').hex()[:16]}"
