"""The greeting policy: says once, in the log, what is on."""

import logging
from pathlib import Path

from mitmproxy import ctx

from proxy_policies.greeting.words import greeting
from proxy_policies.settings import start_errors

logger = logging.getLogger(__name__)


class Greeting:
    """Last in the chain, so that every policy's options are known."""

    name = "greeting"

    def running(self) -> None:
        """Greet, unless mitmproxy is about to end for an error."""
        if start_errors():
            return
        options = {name: getattr(ctx.options, name) for name in ctx.options.keys()}  # noqa: SIM118 - no Mapping
        certificate = Path(ctx.options.confdir).expanduser() / "mitmproxy-ca-cert.pem"
        for line in greeting(options, str(certificate)):
            logger.info(line)
