"""The outcome of a check: the changes in each entry, and their counts."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from proxy_policies.capture.check.change import Change, slower
from proxy_policies.capture.check.diff import compare
from proxy_policies.capture.check.learning import reordered_lists
from proxy_policies.capture.check.matchers import covers
from proxy_policies.capture.check.noise import NoiseRule, NoiseRules, make_rule
from proxy_policies.capture.check.results import SendResult
from proxy_policies.capture.check.secret_pairs import SecretPairs
from proxy_policies.capture.check.unordered import parse_unordered
from proxy_policies.capture.model import Request, Response

DIFFERENT = ("changed", "error")
"""The verdicts of entries that fail a check."""
MAX_DETAILED = 2000  # entries whose responses are kept, to be shown side by side


@dataclass(frozen=True, slots=True)
class Outcome:
    """One entry: its changes, those ignored as noise, and both responses if they differ."""

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
    """Number of places in which the values of secrets were not compared."""
    reordered: tuple[NoiseRule, ...] = ()
    """Suggested rules for lists that have the same items in another order."""

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
    """What counts as a change. `exact`: also dynamic values; `factor`: responses slower by this factor (0: none)."""

    noise: NoiseRules
    exact: bool = False
    factor: float = 0.0
    secrets: SecretPairs = field(default_factory=SecretPairs)


def evaluate(
    number: int, request: Request, old: Response, old_seconds: float, result: SendResult, options: CompareOptions
) -> Outcome:
    """Return the outcome of comparing a recorded response with a live one; called for the entries of a run in order."""
    new = result.response
    if new is None:
        return Outcome(
            number, request, old.status, 0, old_seconds, 0, error=result.error, skipped=result.skipped, old=old
        )
    options.secrets.learn(result.secrets)
    before = options.secrets.count
    unordered = options.noise.unordered(request)
    changes = compare(old, new, options.secrets, unordered)
    changes += slower(old_seconds, result.seconds, options.factor)
    counted, ignored = options.noise.split(request, changes, options.exact)
    return Outcome(
        number,
        request,
        old.status,
        new.status,
        old_seconds,
        result.seconds,
        tuple(counted),
        tuple(ignored),
        old=old if counted else None,
        new=new if counted else None,
        secrets=options.secrets.count - before,
        reordered=tuple(_reordered(request, old, new, {rule.path for rule in unordered})) if counted else (),
    )


def _reordered(request: Request, old: Response, new: Response, known: Container[str]) -> Iterator[NoiseRule]:
    path = urlsplit(request.url).path or "/"
    for found in dict.fromkeys(reordered_lists(old, new)):
        if found.path not in known:
            yield make_rule(request.method, path, str(found))


def drop_excess_bodies(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Yield the outcomes; only the first `MAX_DETAILED` that differ keep their responses, to bound memory."""
    kept = 0
    for outcome in outcomes:
        kept += outcome.old is not None
        yield outcome if kept <= MAX_DETAILED else replace(outcome, old=None, new=None)


@dataclass(slots=True)
class Report:
    """All outcomes of a run, in the order of the recording; they may be in a file, so they are read one at a time."""

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
        """Set the outcomes, their counts, and the duration in seconds."""
        self.outcomes = outcomes
        self.seconds = seconds
        verdicts = Counter(outcome.verdict for outcome in outcomes)
        self.counts = {verdict: verdicts[verdict] for verdict in ("same", "changed", "error", "skipped")}

    @property
    def different(self) -> Iterator[Outcome]:
        """The outcomes of entries that changed or could not be sent."""
        return (outcome for outcome in self.outcomes if outcome.verdict in DIFFERENT)

    @property
    def different_count(self) -> int:
        """The number of entries that changed or could not be sent."""
        return sum(self.counts.get(verdict, 0) for verdict in DIFFERENT)

    @property
    def secrets(self) -> int:
        """The number of places in which the values of secrets were not compared."""
        return sum(outcome.secrets for outcome in self.outcomes)

    @property
    def exit_code(self) -> int:
        """0 if there is no difference, else 1; an entry that could not be sent is a difference."""
        return int(self.different_count > 0)
