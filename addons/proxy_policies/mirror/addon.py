"""The mirror policy: copies a share of live requests to a candidate build, and reports different responses."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

from mitmproxy import ctx, http

from proxy_policies import rules, settings
from proxy_policies.body import Stage
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.options import REDACT
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.flows import flow_state
from proxy_policies.hook_conditions import only_if
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.options.files import expand_home, parse_path, parse_path_to_write, read_text
from proxy_policies.options.parsers import require_one_name
from proxy_policies.outbound import dial
from proxy_policies.settings import Setting

with lazy_imports():
    from proxy_policies.capture.check import noise, outcome
    from proxy_policies.capture.files import private_files
    from proxy_policies.capture.record import recording
    from proxy_policies.capture.secrets import keyfile, placeholders, redact
    from proxy_policies.mirror import candidates, copies, reporting, sending

logger = logging.getLogger(__name__)

TRUST = frozenset(["ssl_verify_upstream_trusted_ca", "ssl_verify_upstream_trusted_confdir", "ssl_insecure"])
"""mitmproxy's options for verifying origins, which also apply to the candidate."""
REPORT_SECONDS = 2.0
"""Seconds between two writes of the report."""


def parse_methods(methods: Sequence[str]) -> tuple[str, ...]:
    """Return the value of `mirror_methods`; if empty, the safe methods. Raise ValueError."""
    for method in methods:
        require_one_name(method, method.strip(), is_field=True)  # methods are tokens, too (RFC 9110, section 9.1)
    return tuple(method.strip().upper() for method in methods) or candidates.SAFE


def parse_noise(text: str) -> noise.NoiseRules:
    """Return the rules in a file. Raise ValueError."""
    path = parse_path(text)
    return noise.NoiseRules(noise.parse_rules(read_text(path), path.name)) if path else noise.NoiseRules()


class Mirror:
    """Sends copies of requests, without delaying the responses to clients."""

    name = "mirror"
    fast_paths = NO_OBJECTION

    mirror_to = Setting(
        "",
        lambda text: candidates.parse_target(text),
        "Copy live requests to the build at this URL, and compare its responses.",
    )
    mirror_share = Setting("1", lambda text: candidates.parse_share(text), "Share of requests to copy, 0 to 1.")
    mirror_filter = Setting("", rules.parse_filter, "Copy only requests whose exchange matches this flow filter.")
    mirror_methods = Setting((), parse_methods, "Methods to copy; if unset: GET, HEAD and OPTIONS.")
    mirror_credentials = Setting(
        "off", settings.parse_switch, "Also copy credentials, cookies and other secrets to the other host."
    )
    mirror_max_body = Setting("1m", settings.parse_size, "Largest request to copy, and largest response to compare.")
    mirror_noise = Setting(
        "", parse_noise, "File of rules for differences to ignore, as written by capture check --learn."
    )
    mirror_report = Setting(
        "",
        parse_path_to_write,
        "Write the changes to this file, as HTML (.html) or JSON.",
        single_process="one process writes a file; mirror without --workers",
    )
    capture_redact = REDACT

    def __init__(self) -> None:
        self._copies: copies.Copies | None = None
        self._share: candidates.Share | None = None
        self._tls: ssl.SSLContext | None = None
        self._begun: WeakKeyDictionary[http.HTTPFlow, recording.Recording] = WeakKeyDictionary()
        self._report: Path | None = None
        self._next_write: asyncio.TimerHandle | None = None
        self._started = 0.0

    def configure(self, updated: set[str]) -> None:
        """Start again if an option has changed."""
        if updated & TRUST:
            self._tls = None
        if any(name.startswith("mirror_") for name in updated) or (self.mirror_to and "capture_redact" in updated):
            self._end()
            if self.mirror_to:
                self._begin()

    def _begin(self) -> None:
        try:
            key = keyfile.load_key(expand_home(ctx.options.confdir))
        except CaptureError as error:
            settings.reject(f"option mirror_to: {error}")
            return
        redactor = redact.Redactor(self.capture_redact, placeholders.Placeholders(key))
        compared = outcome.CompareOptions(self.mirror_noise)
        self._share = candidates.Share(self.mirror_share)
        self._copies = copies.Copies(
            self.mirror_to,
            sending.sender(self.mirror_to, dial.open, self._trust, self.mirror_max_body),
            redactor,
            compared,
            self.mirror_max_body,
            self.mirror_credentials,
            self._write_later,
        )
        self._report, self._started = self.mirror_report, time.time()

    def _trust(self) -> ssl.SSLContext:
        """Return the TLS context for the candidate, made once: loading the system's CAs takes 20 ms."""
        if self._tls is None:
            options = ctx.options
            self._tls = sending.tls_context(
                options.ssl_verify_upstream_trusted_ca,
                options.ssl_verify_upstream_trusted_confdir,
                options.ssl_insecure,
            )
        return self._tls

    def _end(self) -> None:
        if self._copies is not None:
            self._copies.close()
            self._write()
            logger.info(self._copies.summary())
        self._copies = None
        self._begun.clear()

    @only_if("_copies")
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Start recording a request to be copied, before any policy changes it."""
        if self._copies is None or flow.is_replay:
            return
        begun = recording.begin(flow, self.mirror_max_body)
        if candidates.is_copied(begun.request.method, begun.request.headers, self.mirror_methods):
            self._begun[flow] = begun
            flow_state.state_of(flow).request_body.tap(Stage.ORIGIN, begun.sent)

    @only_if("_copies")
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Record the response if it is from the origin; others are not compared."""
        begun = self._begun.get(flow)
        if begun is not None and flow_state.state_of(flow).origin is not None:
            flow_state.state_of(flow).response_body.tap(Stage.ORIGIN, begun.origin)

    @only_if("_copies")
    def response(self, flow: http.HTTPFlow) -> None:
        """Copy the request, if it is in the share."""
        begun, state = self._begun.pop(flow, None), flow_state.state_of(flow)
        if begun is None or self._copies is None or self._share is None or state.origin is None or flow.websocket:
            return
        if not self.mirror_filter(flow) or not self._share.takes():
            return
        if begun.sent.dropped or begun.origin.dropped:
            self._copies.drop("body too large")
        else:
            self._copies.offer(recording.origin_entry_of(flow, begun))

    @only_if("_copies")
    def error(self, flow: http.HTTPFlow) -> None:
        """Drop a failed exchange, which has no response to compare with."""
        self._begun.pop(flow, None)

    def done(self) -> None:
        """Stop, and write the report."""
        self._end()

    def _write_later(self) -> None:
        if self._report and self._next_write is None:
            self._next_write = asyncio.get_running_loop().call_later(REPORT_SECONDS, self._write)

    def _write(self) -> None:
        if self._next_write is not None:
            self._next_write.cancel()
            self._next_write = None
        if self._copies is None or not self._report:
            return
        text = reporting.text(self._copies, self._report.name, self._started, time.time())
        try:
            private_files.write_text(self._report, text)
        except OSError as error:
            logger.error(f"option mirror_report: {self._report}: {error.strerror or error}")
            self._report = None
