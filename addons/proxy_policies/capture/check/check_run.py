"""A check as a whole: what is needed to send a recording again, gathered and tried before the first request."""

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
from proxy_policies.capture.check.pickled_items import PickledItems
from proxy_policies.capture.check.reply_file import ReplyFile
from proxy_policies.capture.check.sender import Sender, SendOptions, SendResult, skip_reason
from proxy_policies.capture.check.targets import Target, parse_targets
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.formats import open_source
from proxy_policies.capture.har.entry_index import EntryIndex
from proxy_policies.capture.model import Request, Response
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import RedactionRules, Redactor
from proxy_policies.capture.secrets.secret_values import SecretValues, unresolved
from proxy_policies.capture.websocket.transcript import as_requests, comparable_response

Progress = Callable[[], None]


@dataclass(slots=True)
class CheckRun:
    """An open capture, ready to be sent: its order, its links, and what stands for its placeholders."""

    path: Path
    secret_values: SecretValues
    placeholders: Placeholders
    redaction: RedactionRules
    carries: tuple[CarryRule, ...] = ()
    entries: EntryIndex = field(init=False)
    order: Sequence[int] = field(init=False)
    links: LinkTable = field(init=False)
    problems: list[str] = field(init=False)

    def __post_init__(self) -> None:
        capture = open_source(self.path)
        self.entries = EntryIndex(capture)
        self.problems = list(capture.problems)
        self.order = self.entries.by_time()
        self.links = find_links(self.order, self.entries, self.placeholders.of)

    def targets(self, specs: Sequence[str]) -> dict[str, Target]:
        """Return what each origin of the capture is replaced by. Raises CaptureError."""
        return parse_targets(specs, (self.entries[number].request.origin for number in self.order))

    def unresolved(self, targets: Mapping[str, Target]) -> list[str]:
        """Return each placeholder that nothing would stand for, with the entry it is in."""
        for_all = {carry.target: "carried" for carry in self.carries}
        found = []
        for number in self.order:
            entry = self.entries[number]
            if entry.request.origin in targets and not skip_reason(entry):
                carried = dict.fromkeys((link.target for link in self.links.to_entry(number)), "carried") | for_all
                for request in as_requests(entry):
                    found += self._missing_in(number, request, carried)
        return list(dict.fromkeys(found))

    def _missing_in(self, number: int, request: Request, carried: Mapping[str, str]) -> list[str]:
        filled = locations.set_values(self.secret_values.substitute(request), carried)
        return [f"entry {number + 1}, {request.method} {request.url}: {text}" for text in unresolved(filled)]

    def send(self, port: int, targets: Mapping[str, Target], options: SendOptions, progress: Progress) -> ReplyFile:
        """Send everything once, with nothing carried over from an earlier time."""
        sender = Sender(
            self.entries,
            targets,
            Correlator(self.links, self.carries),
            self.secret_values,
            Redactor(self.redaction, self.placeholders),
        )
        replies = ReplyFile()

        def done(number: int, sent: SendResult) -> None:
            replies.put(number, sent)
            progress()

        asyncio.run(sender.run(port, self.order, options, done))
        return replies

    def compare_with_recording(self, replies: Mapping[int, SendResult], rules: CompareOptions) -> Sequence[Outcome]:
        """Compare what came with what was recorded."""
        outcomes = (
            evaluate(number, entry.request, comparable_response(entry), entry.times.seconds, replies[number], rules)
            for number in self.order
            if (entry := self.entries[number])
        )
        return PickledItems(drop_excess_bodies(outcomes))

    def compare_builds(
        self, old: Mapping[int, SendResult], new: Mapping[int, SendResult], rules: CompareOptions
    ) -> Sequence[Outcome]:
        """Compare what came from one build with what came from another."""
        return PickledItems(drop_excess_bodies(self._evaluated(old, new, rules)))

    def _evaluated(
        self, old: Mapping[int, SendResult], new: Mapping[int, SendResult], rules: CompareOptions
    ) -> Iterator[Outcome]:
        for number in self.order:
            request, before, after = self.entries[number].request, old[number], new[number]
            if before.response is None and not before.skipped:
                after = SendResult(error=f"old: {before.error}")
            now = dict(after.secrets)
            after = replace(after, secrets=tuple((one, now[old]) for old, one in before.secrets if old in now))
            yield evaluate(number, request, before.response or Response(0), before.seconds, after, rules)

    def noise_between(
        self, first: Mapping[int, SendResult], second: Mapping[int, SendResult], exact: bool = False
    ) -> list[Learned]:
        """Return rules for what differs between two runs of one build."""

        def exchanges() -> Iterator[tuple[Request, Response, Response]]:
            for number in self.order:
                one, other = first[number].response, second[number].response
                if one is not None and other is not None:
                    yield self.entries[number].request, one, other

        return learn_rules(exchanges, exact, self.placeholders.of)


def noise_file(capture: Path) -> Path:
    """Return where a capture's rules of noise are kept: beside it."""
    return capture.with_name(f"{capture.name}.noise")


def require_reachable(targets: Iterable[Target]) -> None:
    """Raise CaptureError naming the first target that takes no connection."""
    for live in dict.fromkeys(target.live for target in targets):
        parts = urlsplit(live)
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            socket.create_connection((parts.hostname or "", port), timeout=10).close()
        except (OSError, ValueError) as error:
            raise CaptureError(f"cannot reach {live}: {getattr(error, 'strerror', None) or error}") from None
