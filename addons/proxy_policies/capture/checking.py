"""A check as a whole: what is needed to send a recording again, gathered and tried before the first request."""

import asyncio
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from proxy_policies.capture import spots
from proxy_policies.capture.correlate import Carrier, Carry, Link, find_links
from proxy_policies.capture.diff import compare
from proxy_policies.capture.model import Request, Response
from proxy_policies.capture.noise import Rule, learn
from proxy_policies.capture.outcome import Outcome, Rules, judge, lightened
from proxy_policies.capture.places import CaptureError
from proxy_policies.capture.reader import open_capture
from proxy_policies.capture.redact import Redactor
from proxy_policies.capture.redact import Rules as RedactRules
from proxy_policies.capture.secrets import Placeholders
from proxy_policies.capture.sending import Pace, Sender, Sent, in_order, why_not
from proxy_policies.capture.shelf import Shelf
from proxy_policies.capture.spool import Spool
from proxy_policies.capture.targets import Target, parse_targets
from proxy_policies.capture.transcript import asked, recorded
from proxy_policies.capture.vault import Vault, missing

Progress = Callable[[], None]


@dataclass(slots=True)
class Recording:
    """An open capture, ready to be sent: its order, its links, and what stands for its placeholders."""

    path: Path
    vault: Vault
    placeholders: Placeholders
    redaction: RedactRules
    carries: tuple[Carry, ...] = ()
    shelf: Shelf = field(init=False)
    order: list[int] = field(init=False)
    links: list[Link] = field(init=False)

    def __post_init__(self) -> None:
        self.shelf = Shelf(open_capture(self.path))
        self.order = in_order(self.shelf)
        self.links = find_links((number, self.shelf[number]) for number in self.order)

    def targets(self, specs: Sequence[str]) -> dict[str, Target]:
        """Return what each origin of the capture is replaced by. Raises CaptureError."""
        return parse_targets(specs, (self.shelf[number].request.origin for number in self.order))

    def missing(self, targets: Mapping[str, Target]) -> list[str]:
        """Return each placeholder that nothing would stand for, with the entry it is in."""
        carried: dict[int, dict[str, str]] = {}
        for link in self.links:
            carried.setdefault(link.target, {})[link.back] = "carried"
        for_all = {carry.back: "carried" for carry in self.carries}
        found = []
        for number in self.order:
            entry = self.shelf[number]
            if entry.request.origin in targets and not why_not(entry):
                for request in asked(entry):
                    found += self._missing_in(number, request, carried.get(number, {}) | for_all)
        return list(dict.fromkeys(found))

    def _missing_in(self, number: int, request: Request, carried: Mapping[str, str]) -> list[str]:
        filled = spots.write(self.vault.fill(request), carried)
        return [f"entry {number + 1}, {request.method} {request.url}: {text}" for text in missing(filled)]

    def send(self, port: int, targets: Mapping[str, Target], pace: Pace, progress: Progress) -> Spool:
        """Send everything once, with nothing carried over from an earlier time."""
        sender = Sender(
            self.shelf,
            targets,
            Carrier(self.links, self.carries),
            self.vault,
            Redactor(self.redaction, self.placeholders),
        )
        replies = Spool()

        def done(number: int, sent: Sent) -> None:
            replies.put(number, sent)
            progress()

        asyncio.run(sender.run(port, self.order, pace, done))
        return replies

    def against_recording(self, replies: Mapping[int, Sent], rules: Rules) -> list[Outcome]:
        """Compare what came with what was recorded."""
        outcomes = (
            judge(number, entry.request, recorded(entry), entry.times.seconds, replies[number], rules)
            for number in self.order
            if (entry := self.shelf[number])
        )
        return list(lightened(outcomes))

    def against_each_other(self, old: Mapping[int, Sent], new: Mapping[int, Sent], rules: Rules) -> list[Outcome]:
        """Compare what came from one build with what came from another."""
        return list(lightened(self._judged(old, new, rules)))

    def _judged(self, old: Mapping[int, Sent], new: Mapping[int, Sent], rules: Rules) -> Iterator[Outcome]:
        for number in self.order:
            request, before, after = self.shelf[number].request, old[number], new[number]
            if before.response is None and not before.skipped:
                after = Sent(error=f"old: {before.error}")
            yield judge(number, request, before.response or Response(0), before.seconds, after, rules)

    def noise_between(self, first: Mapping[int, Sent], second: Mapping[int, Sent]) -> list[Rule]:
        """Return rules for what differs between two runs of one build."""
        rules: set[Rule] = set()
        for number in self.order:
            one, other = first[number].response, second[number].response
            if one is not None and other is not None:
                rules.update(learn(self.shelf[number].request, compare(one, other)))
        return sorted(rules)


def noise_file(capture: Path) -> Path:
    """Return where a capture's rules of noise are kept: beside it."""
    return capture.with_name(f"{capture.name}.noise")


def refuse_unreachable(targets: Iterable[Target]) -> None:
    """Raise CaptureError naming the first target that takes no connection."""
    for live in dict.fromkeys(target.live for target in targets):
        parts = urlsplit(live)
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            socket.create_connection((parts.hostname or "", port), timeout=10).close()
        except (OSError, ValueError) as error:
            raise CaptureError(f"cannot reach {live}: {getattr(error, 'strerror', None) or error}") from None
