"""Access control of the dashboard. Pure.

A browser gets a cookie for the password, or for the token that is printed if none is set. A page of another site in the
same browser can read and change nothing: its Host differs (DNS rebinding), its origin differs, and it lacks the token
that each change needs (CSRF).
"""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import urlsplit

from proxy_policies.limits.guesses import Guesses

MIN_LENGTH = 16
"""Characters of a password, as for that of PURGE."""


class Access:
    """A password, either set or generated, and the session's tokens."""

    def __init__(self, password: str) -> None:
        self._password = password or secrets.token_hex(16)  # as long as mitmweb's
        self._session, self.csrf_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self.guesses = Guesses()
        """The addresses that tried wrong passwords."""
        self.token = "" if password else self._password
        """The generated password, to be printed; "" if one was set."""

    def log_in(self, password: str) -> str | None:
        """Return the cookie for a password; None if it is wrong."""
        return self._session if _is_same(password, self._password) else None

    def is_logged_in(self, cookie: str) -> bool:
        """Return whether a cookie is valid."""
        return _is_same(cookie, self._session)

    def may_change(self, csrf_token: str, origin: str, host: str) -> bool:
        """Return whether a request for a change is from our own page, by its token and its Origin, if any."""
        is_own = not origin or urlsplit(origin).netloc == host
        return is_own and _is_same(csrf_token, self.csrf_token)


def _is_same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
