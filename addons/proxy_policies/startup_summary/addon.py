"""The startup summary: logs once which policies are active."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mitmproxy import ctx
from mitmproxy.certs import CertStore

from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.options.files import expand_home
from proxy_policies.start_up.starting import start_errors
from proxy_policies.startup_summary.formatting import summary_lines, warning_of_end, warning_of_key

logger = logging.getLogger(__name__)


class StartupSummary:
    """Logs the summary; last of all policies, so that every option is known."""

    name = "startup-summary"
    fast_paths = NO_OBJECTION

    def running(self) -> None:
        """Log the summary, unless mitmproxy does not listen or is about to end with an error."""
        if start_errors() or not ctx.options.server:
            return
        options = {name: getattr(ctx.options, name) for name in ctx.options.keys()}  # noqa: SIM118 - no Mapping
        certificate = expand_home(ctx.options.confdir) / "mitmproxy-ca-cert.pem"
        for line in summary_lines(options, str(certificate)):
            logger.info(line)
        tls: Any = ctx.master.addons.get("tlsconfig")
        if tls is not None and tls.certstore is not None:
            self._warn_of_authority(tls.certstore, certificate)

    def _warn_of_authority(self, store: CertStore, certificate: Path) -> None:
        if line := warning_of_end(store.default_ca.notafter, datetime.now(UTC), certificate):
            logger.warning(line)
        if store.default_ca.to_cryptography().public_key() != store.default_privatekey.public_key():
            logger.warning(warning_of_key(certificate))
