"""Collapsed forwarding (RFC 9111, section 4; `collapsed` in RFC 9211): requests that share one upstream request.

The model. Requests whose answer would be the same have the same `Identity`. Of these one, the *leader*, goes forward;
the others are its *followers*, and wait for what is known of its answer, never for a time:

1.  its head: a follower whom it will not serve (by Vary, freshness, or because it may not be stored) goes forward at
    once, and waits again only for a leader that began after it had come;
2.  its body, which followers get as it comes: all of it, or the range that they asked for, once that is there.

A leader with conditions of its client's goes forward with them. Whoever asks with the same ones may have the same
304; others go beside it, and have the whole asked for. To want no more than the head is such a condition, too.

May a follower have the answer? Yes where the answer is fresh. One that has to be validated each time (`no-cache`,
`max-age=0`, a validator and nothing else) is as good as validated for whoever asked before its leader began, unless it
may be one client's: its origin would have been asked with another cookie.

Nothing here knows of flows or stores; moments are numbers that `CollapsedForwarding.moment` gives out in order.
"""

import asyncio
import contextlib
import itertools
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
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
"""Seconds without an answer after which newcomers do not follow a leader any more (nginx's proxy_read_timeout)."""
HIT_FOR_MISS_TTL = 120.0
"""Seconds for which requests for what was not storable do not wait (Varnish's hit-for-miss)."""
UNSHARED_MOST = 4096
"""Identities remembered as not storable."""
GATHERING_SHARE = 0.1
"""Of the time the last answer took: how long a validation beside another waits for others to take part."""
GATHERING_MOST = 1.0
"""Seconds that it waits at most."""
WAITS_MOST = 2
"""Leaders that a follower waits for."""

RANGED = frozenset({"range", "if-range"})
ALWAYS_SELECTING = frozenset({"authorization", *RANGED})
"""Fields on which an answer depends whether Vary names them or not."""
CONDITIONS = frozenset({"if-none-match", "if-modified-since"})
"""Conditions of a client's own: a 304 is an answer to the same ones only."""
HEAD_ONLY = ("", "HEAD")
"""Stands among the conditions of a HEAD."""

Identity = tuple[str, VaryKey]
"""A cache key, and the values of the request's fields that select among its answers."""


Question = tuple[Identity, tuple[str, ...]]
"""What is asked for, and the names of the conditions with which."""


def question_of(identity: Identity, conditions: VaryKey) -> Question:
    """Return what is asked for, whatever the conditions' values are."""
    return identity, tuple(name for name, _ in conditions)


class Outcome(Enum):
    """What became of a leader's answer."""

    STORED = "stored"
    UNSHARED = "unshared"
    """It may not be stored: everybody asks for himself, also for a while hereafter."""
    FAILED = "failed"
    """There is none that others could have."""


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
    """Return whether a request may have another's answer; `heads` are those that it has seen of late."""
    asked, known = parse_request(request.fields), _known(decision)
    if not goes_forward(decision) or asked.no_cache or asked.max_age == 0:
        return False
    return all(_may_be_fresh(entry) or _is_for_all(request, entry) for entry in (*heads, *([known] if known else ())))


def conditions_of(request: Request) -> VaryKey:
    """Return the client's own conditions, empty where it has none."""
    given = vary_key(sorted(name for name in CONDITIONS if name in request.fields), request.fields)
    return (*given, HEAD_ONLY) if request.method == "HEAD" else given


def part_of_whole(request: Request, leader: "Leader") -> bool:
    """Return whether the range that is asked for is there of the whole that a leader brings, or comes next."""
    wanted, entry, body = parse_range(request.fields.get("range")), leader.entry, leader.body
    if wanted is None or entry is None or entry.status != 200 or not entry.size or body is None:
        return False
    part = within(wanted, entry.size)
    return part is not None and part[0] <= body.size


def expects_fresh(decision: Decision) -> bool:
    """Return whether the answer will be fresh, judging by what is stored: then every client may have it."""
    known = _known(decision)
    return known is None or _may_be_fresh(known)


def _may_be_fresh(entry: StoredResponse) -> bool:
    return entry.freshness.lifetime > 0 and not entry.freshness.requires_validation


def _is_for_all(request: Request, entry: StoredResponse) -> bool:
    """Return whether the origin would answer a request the same where each use has to be validated."""
    facts = entry.freshness
    return is_shared(facts.directives, facts.overrides) or not (facts.personal or "cookie" in request.fields)


def may_gather(request: Request, decision: Decision) -> bool:
    """Return whether a validation can be made for others, too."""
    known = _known(decision)
    return known is not None and not _may_be_fresh(known) and _is_for_all(request, known)


def gathering_time(decision: Decision) -> float:
    """Return the seconds to wait for others that a validation can be made for, too: a tenth of what it takes."""
    known = _known(decision)
    took = known.received_at - known.requested_at if known else 0.0
    return min(max(took, 0.0) * GATHERING_SHARE, GATHERING_MOST)


def _known(decision: Decision) -> StoredResponse | None:
    match decision:
        case Validate(entries=(entry, *_)):
            return entry
        case Miss(fallback=entry):
            return entry
        case _:
            return None


def served_by(request: Request, entries: Iterable[StoredResponse], now: float, *, validated: bool) -> Hit | None:
    """Decide on a leader's answer for a follower; `validated`: the leader began after the follower had asked."""
    decision = decide(request, entries, now)
    if isinstance(decision, Hit):
        return decision
    entry = fallback(decision)
    if entry is None or not validated or not _is_for_all(request, entry):
        return None
    return Hit(entry, entry.age(now), detail="validated for several requests")


class Leader:
    """A request under way that others may follow. `began` is the moment it was sent, None while it gathers others."""

    def __init__(
        self, identity: Identity, client: str, since: float, conditions: VaryKey, checkpoint: Checkpoint = None
    ) -> None:
        self.identity = identity
        self.client = client
        """The id of the connection that it came by."""
        self.since = since
        """When the last word of it came, by a clock that is never put back, as all times here are."""
        self.conditions = conditions
        """Those of its client's that it goes forward with."""
        self.checkpoint = checkpoint
        """How far the purges had come of which none is about it."""
        self.shareable = True
        """Whether newcomers may follow."""
        self.began: int | None = None
        self.entry: StoredResponse | None = None
        """The head of its answer, once that is known and may be stored; `size` is what its body will have."""
        self.is_head_only = False
        """Nothing but a head has come, or a 304: there is no body for those whom it does not tell enough."""
        self.length: int | None = None
        """Bytes that the answer's body will have, if it says so."""
        self.body: IncomingBody | None = None
        self.outcome: Outcome | None = None
        self._waiting = 0
        self._news: asyncio.Event | None = None
        """Set at the next change; there once somebody waits for that."""

    @property
    def unshared_as(self) -> "Question":
        """Return the name under which it is remembered that its answer was of no use to others."""
        return question_of(self.identity, self.conditions)

    def changed(self) -> None:
        """Wake all followers: something has changed."""
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
        """Return whether others still wait for something of it."""
        is_read = self.body is not None and self.body.is_read and not self.body.is_finished
        return is_read or (self._waiting > 0 and self.outcome is None)

    async def unneeded(self) -> None:
        """Wait until nobody needs it any more, or nothing has come of it for LEADER_AGE."""
        with contextlib.suppress(TimeoutError):
            while self.is_needed:
                await asyncio.wait_for(self._change(), LEADER_AGE)

    def may_serve(self, asked: int, now: float, *, fresh: bool, conditions: VaryKey = ()) -> bool:
        """Return whether to follow it is worthwhile for a request that came at a moment."""
        is_in_time = fresh or self.began is None or self.began >= asked
        is_for_these = not self.conditions or self.conditions == conditions
        return self.shareable and is_for_these and is_in_time and now - self.since < LEADER_AGE


class CollapsedForwarding:
    """Knows the leaders, by identity."""

    def __init__(self) -> None:
        self._leaders: dict[Identity, list[Leader]] = {}
        self._by_client: dict[str, list[Leader]] = {}
        self._unshared: OrderedDict[Question, float] = OrderedDict()
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
        """Return the leader whose answer a range that is asked for is a part of; `names` as for `identity_of`."""
        whole = request._replace(fields=request.fields.without(RANGED))
        for leader in self._leaders.get(identity_of(whole, names), ()):
            if leader.shareable and part_of_whole(request, leader) and now - leader.since < LEADER_AGE:
                return leader
        return None

    def is_led(self, identity: Identity) -> bool:
        """Return whether a GET with this identity is under way."""
        return any(HEAD_ONLY not in leader.conditions for leader in self._leaders.get(identity, ()))

    def is_unshared(self, identity: Identity, now: float, conditions: VaryKey = ()) -> bool:
        """Return whether waiting was in vain of late, for the whole or for what is asked with such conditions."""
        questions = question_of(identity, ()), question_of(identity, conditions)
        return any(self._unshared.get(question, 0.0) > now for question in questions)

    def lead(
        self, identity: Identity, client: str, now: float, conditions: VaryKey = (), checkpoint: Checkpoint = None
    ) -> Leader:
        """Begin to lead."""
        leader = Leader(identity, client, now, conditions, checkpoint)
        self._leaders.setdefault(identity, []).append(leader)
        self._by_client.setdefault(client, []).append(leader)
        return leader

    def led_by(self, client: str) -> Sequence[Leader]:
        """Return the leaders that came by a connection and are not over yet."""
        return tuple(self._by_client.get(client, ()))

    def answered(self, leader: Leader, entry: StoredResponse, now: float) -> None:
        """Note the head of a response that may be stored."""
        leader.entry, leader.since = entry, now
        self._unshared.pop(leader.unshared_as, None)
        leader.changed()

    def end(self, leader: Leader, outcome: Outcome, now: float) -> None:
        """Note the outcome of a response; only the first call counts."""
        if leader.outcome is not None:
            return
        leader.outcome = outcome
        self._forget(leader)
        if outcome is Outcome.UNSHARED and leader.shareable:
            self._unshared[leader.unshared_as] = now + HIT_FOR_MISS_TTL
            self._unshared.move_to_end(leader.unshared_as)
            if len(self._unshared) > UNSHARED_MOST:
                self._unshared.popitem(last=False)
        leader.changed()

    def _forget(self, leader: Leader) -> None:
        _take_out(self._leaders, leader.identity, leader)
        _take_out(self._by_client, leader.client, leader)


def _take_out[K](groups: dict[K, list[Leader]], name: K, leader: Leader) -> None:
    """Take a leader out, if it is there: after a reload, hooks of the new cache end what began under the old one."""
    group = groups.get(name, [])
    if leader in group:
        group.remove(leader)
    if not group:
        groups.pop(name, None)
