"""A check: opens the recording, resolves its targets and secrets, sends it, and compares the responses."""

import asyncio
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from proxy_policies.capture import locations
from proxy_policies.capture.check.correlate import CarryRule, Correlator, find_links
from proxy_policies.capture.check.learning import Learned, learn_rules
from proxy_policies.capture.check.link_table import LinkTable
from proxy_policies.capture.check.outcome import CompareOptions, Outcome, drop_excess_bodies, evaluate
from proxy_policies.capture.check.results import ResultFile, SendResult, SendResults
from proxy_policies.capture.check.secret_values import SecretValues, unresolved
from proxy_policies.capture.check.sender import Sender, SendOptions, skip_reason
from proxy_policies.capture.check.targets import CheckTarget, parse_targets
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.files.pickled_items import PickledItems
from proxy_policies.capture.formats.any_format import open_source
from proxy_policies.capture.har.entry_index import EntryIndex
from proxy_policies.capture.model import Request, Response
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import RedactionRules, Redactor
from proxy_policies.capture.websocket.transcript import as_requests, comparable_response

Progress = Callable[[], None]


@dataclass(slots=True)
class CheckRun:
    """An open capture, ready to be sent: its entries in order, their links, and the values of its secrets."""

    path: Path
    secret_values: SecretValues
    placeholders: Placeholders
    redaction: RedactionRules
    carry_rules: tuple[CarryRule, ...] = ()
    entries: EntryIndex = field(init=False)
    order: Sequence[int] = field(init=False)
    links: LinkTable = field(init=False)
    problems: list[str] = field(init=False)

    def __post_init__(self) -> None:
        capture = open_source(self.path)
        self.entries = EntryIndex(capture)
        self.problems = list(capture.problems)
        self.order = self.entries.by_time()
        self.links = find_links(self.order, self.entries, self.placeholders.identity_of, within_texts=True)

    def targets(self, specs: Sequence[str]) -> dict[str, CheckTarget]:
        """Return the target for each origin of the capture. Raise CaptureError."""
        return parse_targets(specs, (request.origin for request in self.entries.requests()))

    def unresolved(self, targets: Mapping[str, CheckTarget]) -> list[str]:
        """Return the placeholders for which no value is known, each with its entry."""
        by_rule = {rule.target: "carried" for rule in self.carry_rules}
        found = []
        for number in self.order:
            entry = self.entries[number]
            if entry.request.origin in targets and not skip_reason(entry):
                linked = dict.fromkeys((link.target for link in self.links.to_entry(number)), "carried") | by_rule
                for request in as_requests(entry):
                    found += self._missing_in(number, request, linked)
        return list(dict.fromkeys(found))

    def _missing_in(self, number: int, request: Request, carried: Mapping[str, str]) -> list[str]:
        filled = locations.set_values(self.secret_values.substitute(request), carried)
        return [f"entry {number + 1}, {request.method} {request.url}: {text}" for text in unresolved(filled)]

    def send(
        self, port: int, targets: Mapping[str, CheckTarget], options: SendOptions, progress: Progress
    ) -> ResultFile:
        """Send every entry once, with a new state of carried values, and return the results."""
        sender = Sender(
            self.entries,
            targets,
            Correlator(self.links, self.carry_rules),
            self.secret_values,
            Redactor(self.redaction, self.placeholders),
        )
        results = ResultFile()

        def on_result(number: int, result: SendResult) -> None:
            results.put(number, result)
            progress()

        asyncio.run(sender.run(port, self.order, options, on_result))
        return results

    def compare_with_recording(self, results: SendResults, options: CompareOptions) -> Sequence[Outcome]:
        """Compare the live responses with the recorded ones."""
        outcomes = (
            evaluate(number, entry.request, comparable_response(entry), entry.times.seconds, results[number], options)
            for number in self.order
            if (entry := self.entries[number])
        )
        return PickledItems(drop_excess_bodies(outcomes))

    def compare_builds(self, old: SendResults, new: SendResults, options: CompareOptions) -> Sequence[Outcome]:
        """Compare the responses of two builds."""
        return PickledItems(drop_excess_bodies(self._evaluated(old, new, options)))

    def _evaluated(self, old: SendResults, new: SendResults, options: CompareOptions) -> Iterator[Outcome]:
        for number in self.order:
            request, before, after = self.entries[number].request, old[number], new[number]
            if before.response is None and not before.skipped:
                after = SendResult(error=f"old: {before.error}")
            new_secrets = dict(after.secrets)
            pairs = tuple((sent, new_secrets[secret]) for secret, sent in before.secrets if secret in new_secrets)
            after = replace(after, secrets=pairs)
            yield evaluate(number, request, before.response or Response(0), before.seconds, after, options)

    def learn_noise(self, first: SendResults, second: SendResults, exact: bool = False) -> list[Learned]:
        """Return rules for the differences between two runs of one build."""

        def exchanges() -> Iterator[tuple[Request, Response, Response]]:
            for number in self.order:
                one, other = first[number].response, second[number].response
                if one is not None and other is not None:
                    yield self.entries[number].request, one, other

        return learn_rules(exchanges, exact, self.placeholders.of)


def noise_file(capture: Path) -> Path:
    """Return the path of a capture's rules of noise: beside it."""
    return Path(f"{capture}.noise")


def require_reachable(targets: Iterable[CheckTarget]) -> None:
    """Raise CaptureError with the name of the first target that refuses connections."""
    for live in dict.fromkeys(target.live for target in targets):
        parts = urlsplit(live)
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            socket.create_connection((parts.hostname or "", port), timeout=10).close()
        except (OSError, ValueError) as error:
            raise CaptureError(f"cannot reach {live}: {getattr(error, 'strerror', None) or error}") from None
