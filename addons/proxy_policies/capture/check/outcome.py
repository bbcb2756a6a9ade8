"""The outcome of a check: for each entry what changed, and of all of them how many."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from proxy_policies.capture.check.diff import Change, compare, slower
from proxy_policies.capture.check.learning import reordered_lists
from proxy_policies.capture.check.matchers import covers
from proxy_policies.capture.check.noise import Noise, NoiseRule, make_rule
from proxy_policies.capture.check.secret_pairs import SecretPairs
from proxy_policies.capture.check.sender import SendResult
from proxy_policies.capture.check.unordered import parse_unordered
from proxy_policies.capture.model import Request, Response

TELLING = ("changed", "error")
MAX_DETAILED = 2000  # entries whose responses are kept, to be laid side by side


@dataclass(frozen=True, slots=True)
class Outcome:
    """One entry: both responses where they differ, the changes that count, and how many were passed over."""

    number: int
    request: Request
    old_status: int
    new_status: int
    old_seconds: float
    new_seconds: float
    changes: tuple[Change, ...] = ()
    ignored: tuple[Change, ...] = ()
    error: str = ""
    skipped: str = ""
    old: Response | None = None
    new: Response | None = None
    secrets: int = 0
    """Places in which the values of secrets were not compared."""
    reordered: tuple[NoiseRule, ...] = ()
    """Rules that nobody has made yet, for lists that have the same items in another order."""

    def is_reordered(self, change: Change) -> bool:
        """Return whether a change is in one of the lists that have the same items in another order."""
        lists = (parse_unordered(rule.location) for rule in self.reordered)
        return any(covers(f"json:{found.path}", "any", change) for found in lists)

    @property
    def verdict(self) -> str:
        """`same`, `changed`, `error` or `skipped`."""
        if self.skipped:
            return "skipped"
        return "error" if self.error else "changed" if self.changes else "same"

    @property
    def title(self) -> str:
        """`GET /orders?page=2`."""
        parts = urlsplit(self.request.url)
        return f"{self.request.method} {parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """What counts as a change. `exact`: dynamic values too; `factor`: slower by this much (0: never)."""

    noise: Noise
    exact: bool = False
    factor: float = 0.0
    secrets: SecretPairs = field(default_factory=SecretPairs)


def evaluate(
    number: int, request: Request, old: Response, old_seconds: float, sent: SendResult, rules: CompareOptions
) -> Outcome:
    """Compare what was with what came; the entries of a run in their order."""
    new = sent.response
    if new is None:
        return Outcome(number, request, old.status, 0, old_seconds, 0, error=sent.error, skipped=sent.skipped, old=old)
    rules.secrets.learn(sent.secrets)
    before = rules.secrets.count
    unordered = rules.noise.unordered(request)
    changes = compare(old, new, rules.secrets, unordered)
    changes += slower(old_seconds, sent.seconds, rules.factor)
    counted, ignored = rules.noise.split(request, changes, rules.exact)
    return Outcome(
        number,
        request,
        old.status,
        new.status,
        old_seconds,
        sent.seconds,
        tuple(counted),
        tuple(ignored),
        old=old if counted else None,
        new=new if counted else None,
        secrets=rules.secrets.count - before,
        reordered=tuple(_reordered(request, old, new, {rule.path for rule in unordered})) if counted else (),
    )


def _reordered(request: Request, old: Response, new: Response, known: Container[str]) -> Iterator[NoiseRule]:
    path = urlsplit(request.url).path or "/"
    for found in dict.fromkeys(reordered_lists(old, new)):
        if found.path not in known:
            yield make_rule(request.method, path, str(found))


def drop_excess_bodies(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Yield the outcomes, with responses for the first `MAX_DETAILED` only: everything may have changed."""
    kept = 0
    for outcome in outcomes:
        kept += outcome.old is not None
        yield outcome if kept <= MAX_DETAILED else replace(outcome, old=None, new=None)


@dataclass(slots=True)
class Report:
    """All outcomes of a run, in the order of the recording; they may be in a file, and are read one at a time."""

    capture: str
    old: str
    new: str
    outcomes: Sequence[Outcome] = ()
    noise: Sequence[str] = ()
    links: Iterable[object] = ()
    seconds: float = 0.0
    started: float = 0.0
    policies: str = ""
    counts: dict[str, int] = field(default_factory=dict)

    def finish(self, outcomes: Sequence[Outcome], seconds: float) -> None:
        """Take the outcomes and count them."""
        self.outcomes = outcomes
        self.seconds = seconds
        verdicts = Counter(outcome.verdict for outcome in outcomes)
        self.counts = {verdict: verdicts[verdict] for verdict in ("same", "changed", "error", "skipped")}

    @property
    def telling(self) -> Iterator[Outcome]:
        """The outcomes that somebody should see: what changed, and what could not be sent."""
        return (outcome for outcome in self.outcomes if outcome.verdict in TELLING)

    @property
    def telling_count(self) -> int:
        """The number of these."""
        return sum(self.counts.get(verdict, 0) for verdict in TELLING)

    @property
    def secrets(self) -> int:
        """The number of places in which the values of secrets were not compared."""
        return sum(outcome.secrets for outcome in self.outcomes)

    @property
    def exit_code(self) -> int:
        """0 the same, 1 differences; an entry that could not be sent is a difference."""
        return int(self.telling_count > 0)
