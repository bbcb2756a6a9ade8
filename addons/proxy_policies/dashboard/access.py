"""Who may see the page. Pure.

Whoever has the password, or the token that is printed where none is set, gets a cookie for it. A page of somebody
else's that is open in the same browser cannot ask for anything: its name is not ours (DNS rebinding), its origin is not
ours, and it has not got the token that each change must come with (CSRF).
"""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import urlsplit

from proxy_policies.limits.guesses import Guesses

LEAST = 16
"""Characters of a password at least, as of PURGE's."""


class Access:
    """One password, which was set or was made up, and the tokens that stand for it."""

    def __init__(self, password: str) -> None:
        self._password = password or secrets.token_hex(16)  # as long as mitmweb's
        self._session, self.csrf_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self.guesses = Guesses()
        """Who has tried wrong passwords."""
        self.token = "" if password else self._password
        """What is printed: nothing of a password that was set."""

    def enter(self, password: str) -> str | None:
        """Return the cookie for a password; None for a wrong one."""
        return self._session if _is_same(password, self._password) else None

    def has_entered(self, cookie: str) -> bool:
        """Return whether it is a cookie of ours."""
        return _is_same(cookie, self._session)

    def may_change(self, csrf_token: str, origin: str, host: str) -> bool:
        """Return whether a request to change something is from our own page: by its token, and its origin if any."""
        is_own = not origin or urlsplit(origin).netloc == host
        return is_own and _is_same(csrf_token, self.csrf_token)


def _is_same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
