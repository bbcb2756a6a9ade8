"""The credentials of an end of the tunnel, loaded again when its certificate is renewed on disk."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Callable

from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.log_lines import Throttle

with lazy_imports():
    from proxy_policies.reverse_tunnel import identity

logger = logging.getLogger(__name__)


class ReloadedCredentials:
    """The credentials of one end; `renewed` is called with renewed ones of the same name, which end no connection."""

    def __init__(self, kind: str, renewed: Callable[[identity.Credentials], None]) -> None:
        self._kind, self._renewed = kind, renewed
        self._known: identity.Credentials | None = None
        self._loaded: object = None  # the options, and the states of the certificate's files
        self._throttle = Throttle(3600.0)
        self._warned_on: datetime.date | None = None

    @property
    def is_known(self) -> bool:
        """Return whether they were loaded; this end must not start before."""
        return self._known is not None

    @property
    def current(self) -> identity.Credentials:
        """The present credentials; only once they were loaded."""
        return self._known or identity.NO_CREDENTIALS

    def load(self, tls: str, secret: str) -> None:
        """Load the credentials if options or files have changed. Raise ValueError."""
        try:
            self._load(tls, secret)
        except OSError as error:
            raise ValueError(f"{self._kind}_tls={tls}: {error.filename or tls}: {error.strerror or error}") from error

    def _load(self, tls: str, secret: str) -> None:
        seen = identity.file_states(tls)
        if seen and (tls, secret, seen) == self._loaded:
            return
        before, loaded = self._known, identity.load(self._kind, tls, secret)
        if before is not None and loaded.key and loaded.key == before.key:
            return  # the same secret: another temporary certificate would only end every connection
        self._known, self._loaded = loaded, (tls, secret, seen)
        self._warn_of_expiry()
        if before is not None and before.name == loaded.name is not None:
            self._renewed(loaded)

    def reload_if_changed(self, tls: str, secret: str) -> bool:
        """Load a certificate that was renewed on disk; warn once a day if it expires soon. True if its name changed.

        An invalid one, such as one being written, is not loaded: the previous one stays in use.
        """
        if self.current.mode is not identity.Mode.CERTIFICATES:
            return False
        before = self.current
        try:
            self.load(tls, secret)
        except ValueError as error:
            line = f"{self._kind}: the certificate has changed on disk and cannot be loaded: {error}"
            if admitted := self._throttle.admit(line, time.monotonic()):
                logger.warning(admitted)
            return False
        if self.current is before:
            self._warn_of_expiry()
            return False
        logger.info(f"{self._kind}: the certificate of {self.current.name} was reloaded from disk")
        return self.current.name != before.name

    def _warn_of_expiry(self) -> None:
        now = datetime.datetime.now(datetime.UTC)
        if now.date() != self._warned_on and (warning := identity.expiry_warning(self._kind, self.current, now)):
            self._warned_on = now.date()
            logger.warning(warning)
