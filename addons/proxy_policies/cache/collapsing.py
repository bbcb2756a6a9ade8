"""Collapsed forwarding (RFC 9111, section 4; `collapsed` in RFC 9211): requests that share one upstream request.

The model. Requests that would get the same response have the same `Identity`. One of them, the *leader*, is forwarded;
the others are its *followers*, and wait for events of its response, never for a fixed time:

1.  its head: a follower that it cannot serve (because of Vary or freshness, or because it may not be stored) is
    forwarded at once, and waits again only for a leader that began after it arrived;
2.  its body, which followers get as it arrives: all of it, or the range they requested, once available.

A leader with its client's conditions is forwarded with them. Requests with the same conditions may share its 304;
others are forwarded beside it, for the whole. Wanting only the head (HEAD) is such a condition, too.

May a follower use the response? Yes, if it is fresh. One that must be validated each time (`no-cache`, `max-age=0`,
only a validator) counts as validated for requests that arrived before its leader began, unless it may be personal: the
origin would have been asked with another cookie.

This module is independent of flows and stores; moments are ascending numbers from `CollapsedForwarding.moment`.
"""

import asyncio
import contextlib
import itertools
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from enum import Enum

from proxy_policies.cache.incoming_body import IncomingBody
from proxy_policies.cache.rfc9111.decision import Decision, Hit, Miss, Request, Validate, decide, fallback, goes_forward
from proxy_policies.cache.rfc9111.directives import parse_request
from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.freshness import is_shared
from proxy_policies.cache.rfc9111.key import VaryKey, vary_key
from proxy_policies.cache.rfc9111.ranges import parse_range, within
from proxy_policies.cache.stores.store import Checkpoint

LEADER_AGE = 60.0
"""Seconds without a response after which new requests no longer follow a leader (nginx's proxy_read_timeout)."""
HIT_FOR_MISS_TTL = 120.0
"""Seconds for which requests do not wait after an unstorable response (Varnish's hit-for-miss)."""
MAX_UNSHARED = 4096
"""Identities remembered as not storable."""
GATHERING_SHARE = 0.1
"""Fraction of the last response's duration for which a validation beside another waits for more followers."""
MAX_GATHERING = 1.0
"""Seconds that it waits at most."""
MAX_WAITS = 2
"""Leaders that a follower waits for."""

RANGED = frozenset({"range", "if-range"})
ALWAYS_SELECTING = frozenset({"authorization", *RANGED})
"""Fields on which a response depends even if Vary does not name them."""
CONDITIONS = frozenset({"if-none-match", "if-modified-since"})
"""A client's own conditions: a 304 only answers requests with the same ones."""
HEAD_ONLY = ("", "HEAD")
"""Stands among the conditions of a HEAD."""

Identity = tuple[str, VaryKey]
"""A cache key, and the values of the request's selecting fields."""


ConditionalIdentity = tuple[Identity, tuple[str, ...]]
"""An identity, and the names of the request's conditions."""


def conditional_identity(identity: Identity, conditions: VaryKey) -> ConditionalIdentity:
    """Return what responses to requests like this one are remembered under, whatever the conditions' values."""
    return identity, tuple([name for name, _ in conditions])


class LeaderOutcome(Enum):
    """The outcome of a leader's response."""

    STORED = "stored"
    UNSHARED = "unshared"
    """It may not be stored: followers forward their own requests, as do later ones for a while."""
    FAILED = "failed"
    """There is no response that others could use."""


def identity_of(request: Request, names: Collection[str]) -> Identity:
    """Return a request's identity; `names` are the fields that Vary is known to name under its key."""
    if request.fields.has_any(ALWAYS_SELECTING):
        names = {*names, *(name for name in ALWAYS_SELECTING if name in request.fields)}
    return request.key, vary_key(sorted(names), request.fields)


def names_in(entries: Iterable[StoredResponse]) -> set[str]:
    """Return the fields that select among stored responses."""
    return {name for entry in entries for name, _ in entry.vary_key}


def may_lead(request: Request, decision: Decision) -> bool:
    """Return whether others may follow a request."""
    return request.method in ("GET", "HEAD") and goes_forward(decision)


def may_follow(request: Request, decision: Decision, heads: Iterable[StoredResponse] = ()) -> bool:
    """Return whether a request may use another's response; `heads` are those it has recently seen."""
    asked, known = parse_request(request.fields), _known(decision)
    if not goes_forward(decision) or asked.no_cache or asked.max_age == 0:
        return False
    entries = [*heads, known] if known else heads
    return not any([not _may_be_fresh(entry) and not _is_for_all(request, entry) for entry in entries])


def conditions_of(request: Request) -> VaryKey:
    """Return the client's own conditions, empty where it has none."""
    given: VaryKey = ()
    if request.fields.has_any(CONDITIONS):
        given = vary_key(sorted(name for name in CONDITIONS if name in request.fields), request.fields)
    return (*given, HEAD_ONLY) if request.method == "HEAD" else given


def part_of_whole(request: Request, leader: "Leader") -> bool:
    """Return whether a requested range of a leader's whole is available, or next to arrive."""
    wanted, entry, body = parse_range(request.fields.get("range")), leader.entry, leader.body
    if wanted is None or entry is None or entry.status != 200 or not entry.size or body is None:
        return False
    part = within(wanted, entry.size)
    return part is not None and part[0] <= body.size


def expects_fresh(decision: Decision) -> bool:
    """Return whether the response will be fresh, judging by the stored one: then every client may use it."""
    known = _known(decision)
    return known is None or _may_be_fresh(known)


def _may_be_fresh(entry: StoredResponse) -> bool:
    return entry.freshness.lifetime > 0 and not entry.freshness.requires_validation


def _is_for_all(request: Request, entry: StoredResponse) -> bool:
    """Return whether the origin would answer this request the same, if each use must be validated."""
    facts = entry.freshness
    return is_shared(facts.directives, facts.overrides) or not (facts.personal or "cookie" in request.fields)


def may_gather(request: Request, decision: Decision) -> bool:
    """Return whether a validation can be made for others, too."""
    known = _known(decision)
    return known is not None and not _may_be_fresh(known) and _is_for_all(request, known)


def gathering_time(decision: Decision) -> float:
    """Return the seconds to wait for others that can share a validation: a tenth of its usual duration."""
    known = _known(decision)
    took = known.received_at - known.requested_at if known else 0.0
    return min(max(took, 0.0) * GATHERING_SHARE, MAX_GATHERING)


def _known(decision: Decision) -> StoredResponse | None:
    match decision:
        case Validate(entries=(entry, *_)):
            return entry
        case Miss(fallback=entry):
            return entry
        case _:
            return None


def served_by(request: Request, entries: Iterable[StoredResponse], now: float, *, validated: bool) -> Hit | None:
    """Decide whether a leader's response serves a follower; `validated`: the leader began after the follower asked."""
    decision = decide(request, entries, now)
    if isinstance(decision, Hit):
        return decision
    entry = fallback(decision)
    if entry is None or not validated or not _is_for_all(request, entry):
        return None
    return Hit(entry, entry.age(now), detail="validated for several requests")


class Leader:
    """A request in progress that others may follow. `began` is the moment it was sent, None while gathering others."""

    def __init__(
        self, identity: Identity, client: str, since: float, conditions: VaryKey, checkpoint: Checkpoint = None
    ) -> None:
        self.identity = identity
        self.client = client
        """The id of its client's connection."""
        self.since = since
        """When it last made progress, by a monotonic clock, as all times here."""
        self.conditions = conditions
        """Its client's conditions with which it is forwarded."""
        self.checkpoint = checkpoint
        """The last checkpoint up to which no purge selects it."""
        self.shareable = True
        """Whether newcomers may follow."""
        self.began: int | None = None
        self.entry: StoredResponse | None = None
        """The head of its response, once known and storable; `size` is its body's final size."""
        self.is_head_only = False
        """Only a head or a 304 was received: there is no body for followers that need one."""
        self.length: int | None = None
        """The declared size of the response's body in bytes."""
        self.body: IncomingBody | None = None
        self.outcome: LeaderOutcome | None = None
        self._waiting = 0
        self._news: asyncio.Event | None = None
        """Set at the next change; created when a follower waits."""

    @property
    def unshared_as(self) -> "ConditionalIdentity":
        """Return what an unshareable response is remembered under."""
        return conditional_identity(self.identity, self.conditions)

    def changed(self) -> None:
        """Wake all followers because of a change."""
        news, self._news = self._news, None
        if news is not None:
            news.set()

    async def _change(self) -> None:
        if self._news is None:
            self._news = asyncio.Event()
        await self._news.wait()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait, as a follower, for a condition or the leader's end."""
        self._waiting += 1
        try:
            while not (self.outcome or condition()):
                await self._change()
        finally:
            self._waiting -= 1
            self.changed()

    @property
    def is_needed(self) -> bool:
        """Return whether others still wait for it."""
        is_read = self.body is not None and self.body.is_read and not self.body.is_finished
        return is_read or (self._waiting > 0 and self.outcome is None)

    async def unneeded(self) -> None:
        """Wait until no others need it, or it has made no progress for LEADER_AGE."""
        with contextlib.suppress(TimeoutError):
            while self.is_needed:
                await asyncio.wait_for(self._change(), LEADER_AGE)

    def may_serve(self, asked: int, now: float, *, fresh: bool, conditions: VaryKey = ()) -> bool:
        """Return whether a request that arrived at moment `asked` should follow it."""
        is_in_time = fresh or self.began is None or self.began >= asked
        is_for_these = not self.conditions or self.conditions == conditions
        return self.shareable and is_for_these and is_in_time and now - self.since < LEADER_AGE


class CollapsedForwarding:
    """Tracks the leaders by identity."""

    def __init__(self) -> None:
        self._leaders: dict[Identity, list[Leader]] = {}
        self.by_client: dict[str, list[Leader]] = {}
        """The unfinished leaders of each connection."""
        self._unshared: OrderedDict[ConditionalIdentity, float] = OrderedDict()
        self._moments = itertools.count()

    def moment(self) -> int:
        """Return the number of this moment."""
        return next(self._moments)

    def find(
        self,
        identity: Identity,
        asked: int,
        now: float,
        *,
        fresh: bool,
        excluded: Collection[Leader] = (),
        conditions: VaryKey = (),
    ) -> Leader | None:
        """Return the leader to follow."""
        for leader in self._leaders.get(identity, ()):
            if leader not in excluded and leader.may_serve(asked, now, fresh=fresh, conditions=conditions):
                return leader
        return None

    def find_whole(self, request: Request, names: Collection[str], now: float) -> Leader | None:
        """Return the leader whose response contains a requested range; `names` as for `identity_of`."""
        whole = request._replace(fields=request.fields.without(RANGED))
        for leader in self._leaders.get(identity_of(whole, names), ()):
            if leader.shareable and part_of_whole(request, leader) and now - leader.since < LEADER_AGE:
                return leader
        return None

    def is_led(self, identity: Identity) -> bool:
        """Return whether a GET with this identity is in progress."""
        leaders = self._leaders.get(identity)
        return leaders is not None and any(HEAD_ONLY not in leader.conditions for leader in leaders)

    def is_unshared(self, identity: Identity, now: float, conditions: VaryKey = ()) -> bool:
        """Return whether waiting was recently in vain, for the whole or with these conditions."""
        if self._unshared.get((identity, ()), 0.0) > now:
            return True
        return bool(conditions) and self._unshared.get(conditional_identity(identity, conditions), 0.0) > now

    def lead(
        self, identity: Identity, client: str, now: float, conditions: VaryKey = (), checkpoint: Checkpoint = None
    ) -> Leader:
        """Register a new leader."""
        leader = Leader(identity, client, now, conditions, checkpoint)
        self._leaders.setdefault(identity, []).append(leader)
        self.by_client.setdefault(client, []).append(leader)
        return leader

    def answered(self, leader: Leader, entry: StoredResponse, now: float) -> None:
        """Note the head of a response that may be stored."""
        leader.entry, leader.since = entry, now
        self._unshared.pop(leader.unshared_as, None)
        leader.changed()

    def end(self, leader: Leader, outcome: LeaderOutcome, now: float) -> None:
        """Note the outcome of a response; only the first call counts."""
        if leader.outcome is not None:
            return
        leader.outcome = outcome
        self._forget(leader)
        if outcome is LeaderOutcome.UNSHARED and leader.shareable:
            self._unshared[leader.unshared_as] = now + HIT_FOR_MISS_TTL
            self._unshared.move_to_end(leader.unshared_as)
            if len(self._unshared) > MAX_UNSHARED:
                self._unshared.popitem(last=False)
        leader.changed()

    def _forget(self, leader: Leader) -> None:
        _take_out(self._leaders, leader.identity, leader)
        _take_out(self.by_client, leader.client, leader)


def _take_out[K](groups: dict[K, list[Leader]], name: K, leader: Leader) -> None:
    """Remove a leader if present: after a reload, hooks of the new cache end leaders of the old one."""
    group = groups.get(name, [])
    if leader in group:
        group.remove(leader)
    if not group:
        groups.pop(name, None)
