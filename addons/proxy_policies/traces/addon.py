"""The traces policy: a span for each request and each tunnel, sent to an OpenTelemetry collector."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from urllib.parse import urlsplit

from proxy_policies.background.tasks import in_background, warn_from_thread
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.finished.subscription import SubscribedThread
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.log_lines import printable
from proxy_policies.settings import Setting
from proxy_policies.start_up import requirements

with lazy_imports():
    from proxy_policies.capture.secrets import masking
    from proxy_policies.traces import sender

logger = logging.getLogger(__name__)

PACKAGES = ["opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"]
MODULES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
PATH = "/v1/traces"
"""The collector's path, if the URL has none (OTLP/HTTP)."""


def parse_collector(text: str) -> str | None:
    """Return a collector's URL; None for `off`. Raise ValueError if it is invalid, or a package is missing."""
    if text == "off":
        return None
    try:
        url = urlsplit(text)
        is_url = url.scheme in ("http", "https") and url.hostname and url.port != 0 and text.isprintable()
    except ValueError:
        is_url = False
    if not is_url or url.username is not None or url.query or url.fragment:
        raise ValueError(f"write a collector's URL such as http://127.0.0.1:4318 ({PATH} is added), or off")
    if not all(map(requirements.is_installed, MODULES)):
        raise ValueError(f"needs the packages {', '.join(PACKAGES)}: {requirements.install_command(PACKAGES)}")
    return text if url.path.strip("/") else f"{url.scheme}://{url.netloc}{PATH}"


class Traces:
    """Passes records of finished requests and tunnels to a thread that sends them, while `traces` is set."""

    name = "traces"
    fast_paths = NO_OBJECTION
    traces = Setting(
        "off", parse_collector, "Send a span of each request and tunnel to the OTLP collector at http://HOST:4318; off."
    )

    def __init__(self) -> None:
        self._subscription: SubscribedThread[sender.SpanSender] = SubscribedThread()

    def configure(self, updated: set[str]) -> None:
        """Send to the chosen collector."""
        if "traces" not in updated:
            return
        started = None
        if self.traces is not None:
            started = sender.SpanSender(self.traces, _shown, warn_from_thread(logger, "traces: "))
        self._subscription.replace(started)

    @in_background
    async def done(self) -> None:
        """Send the queued spans, and close the connection."""
        await self._subscription.end()

    async def statistics(self) -> Mapping[str, int]:
        """Return the number of spans sent, and of those lost."""
        return self._subscription.statistics("spans")


def _shown(text: str) -> str:
    return printable(masking.mask_url(text))
