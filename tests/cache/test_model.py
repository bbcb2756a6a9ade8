"""Compares the cache's decisions with an independent model of RFC 9111: no response is reused that must not be.

A URL is requested repeatedly while its representation, its directives and the time change. A response from the store
must be what the origin sent last for such a request, be fresh or allowed to be stale, and not be private to another
client. The model parses fields itself, in the few forms in which they are written here.
"""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_policies.cache.response import build_response
from proxy_policies.cache.rfc9111.decision import Decision, ForwardReason, Hit, Miss, Request, decide
from proxy_policies.cache.rfc9111.freshness import NO_OVERRIDES
from proxy_policies.cache.rfc9111.invalidation import invalidated
from proxy_policies.cache.rfc9111.response_decision import (
    DontStore,
    Freshen,
    Refetch,
    ResponseContext,
    ResponseHead,
    StoreResponse,
    decide_response,
)
from proxy_policies.cache.rfc9111.selectors import Selector
from proxy_policies.cache.status import CacheStatus
from proxy_policies.cache.stores.memory import MemoryStore
from proxy_policies.fields import Fields, format_date
from tests.support.cache_cases import KEY, NOW
from tests.support.cache_stores import checkpoint, content, keep

SAYS = ("max-age=10", "max-age=10", "max-age=30", "max-age=0", "no-store", "no-cache", "private", "private, max-age=9",
        "s-maxage=5, max-age=20", "max-age=10, must-revalidate", "max-age=5, stale-while-revalidate=20",
        "public, max-age=10", "max-age=20, no-cache", "")  # fmt: skip
ASKS = ("", "", "", "no-cache", "max-age=4", "min-fresh=6", "max-stale=15", "max-stale", "no-store")


@dataclass(frozen=True)
class Step:
    """A request, what its origin is by then, and how long after the one before it is made."""

    method: str = "GET"
    asks: str = ""
    x: str = "1"
    authorization: bool = False
    says: str = "max-age=10"
    vary: str = ""
    age: int = 0
    born: int = 0
    expires: int | None = None
    tag: str = "strong"
    changes: bool = False
    pause: int = 0


STEPS = st.builds(
    Step,
    method=st.sampled_from(["GET", "GET", "GET", "GET", "HEAD", "POST"]),
    asks=st.sampled_from(ASKS),
    x=st.sampled_from("12"),
    authorization=st.sampled_from([False, False, False, True]),
    says=st.sampled_from(SAYS),
    vary=st.sampled_from(["", "", "X", "*"]),
    age=st.sampled_from([0, 0, 7]),
    born=st.sampled_from([0, 0, -8]),
    expires=st.sampled_from([None, None, 12, -3]),
    tag=st.sampled_from(["strong", "weak", "none", "two"]),
    changes=st.booleans(),
    pause=st.sampled_from([0, 1, 6, 16]),
)


@dataclass
class Sent:
    """What the origin sent of a version, as the model keeps it."""

    step: Step
    at: float
    version: int
    asked: Step
    gone: bool = False

    def argument(self, name: str) -> int | None:
        """Return the seconds of a directive."""
        found = [part.partition("=")[2] for part in self.step.says.split(", ") if part.startswith(f"{name}=")]
        return int(found[0]) if found else None

    def says(self, name: str) -> bool:
        """Return whether a directive is there."""
        return name in self.step.says.split(", ")

    @property
    def lifetime(self) -> int:
        """Section 4.2.1; nothing here has a Last-Modified to guess by."""
        for seconds in (self.argument("s-maxage"), self.argument("max-age")):
            if seconds is not None:
                return seconds
        return 0 if self.step.expires is None else self.step.expires - self.step.born

    def age_at(self, now: float) -> float:
        """Section 4.2.3."""
        return max(self.step.age, -self.step.born) + now - self.at

    def may_be_stored(self) -> bool:
        """Section 3."""
        leave = self.says("public") or self.says("must-revalidate") or self.argument("s-maxage") is not None
        forbidden = self.says("no-store") or self.says("private") or "no-store" in self.asked.asks
        return not forbidden and (leave or not self.asked.authorization) and self.step.vary != "*"

    def may_answer(self, step: Step, now: float) -> bool:
        """Section 4, without asking the origin."""
        if self.gone or not self.may_be_stored() or self.says("no-cache") or step.asks in ("no-cache", "no-store"):
            return False
        if self.step.vary == "X" and self.asked.x != step.x:
            return False
        age, wanted = self.age_at(now), step.asks.partition("=")
        if (wanted[0] == "max-age" and age > int(wanted[2])) or (
            wanted[0] == "min-fresh" and self.lifetime - age < int(wanted[2])
        ):
            return False
        return age < self.lifetime or self._may_be_stale(wanted, age - self.lifetime)

    def _may_be_stale(self, wanted: tuple[str, str, str], staleness: float) -> bool:
        if self.says("must-revalidate"):
            return False
        accepted = wanted[0] == "max-stale" and (not wanted[2] or staleness <= int(wanted[2]))
        window = self.argument("stale-while-revalidate") or -1
        return (accepted and self.argument("s-maxage") is None) or staleness <= window


@dataclass
class Course:
    """The cache and the origin, step by step."""

    store: MemoryStore = field(default_factory=lambda: MemoryStore(1 << 20))
    now: float = NOW
    version: int = 0
    sent: list[Sent] = field(default_factory=list)
    ids: Iterator[int] = field(default_factory=itertools.count)
    hits: int = 0

    async def take(self, step: Step) -> None:
        """Make one request."""
        self.now += step.pause
        self.version += step.changes
        request = Request(step.method, KEY, _fields(
            ("Cache-Control", step.asks), ("X", step.x), ("Authorization", "a" * step.authorization)
        ))  # fmt: skip
        decision = decide(request, await self.store.lookup(KEY), self.now)
        if isinstance(decision, Hit):
            await self.hit(step, request, decision)
        else:
            await self.forward(step, request, decision)

    async def hit(self, step: Step, request: Request, hit: Hit) -> None:
        """Judge an answer from the store."""
        self.hits += 1
        body = await content(self.store, hit.entry)
        made = build_response(request, hit.entry, self.now, CacheStatus(), hit.part)
        version = int((body or b"-1").partition(b" ")[2])
        allowed = [one for one in self.sent if one.may_answer(step, self.now)]
        assert version in {one.version for one in allowed}, (step, hit, self.sent)
        assert made.fields.get("x-version") in {str(one.version) for one in allowed}
        assert int(made.fields.get("age") or -1) in {int(one.age_at(self.now)) for one in allowed}

    async def forward(self, step: Step, request: Request, decision: Decision) -> None:
        """Have the origin answer, and do with that what is decided."""
        asked = getattr(decision, "fields", request.fields)
        tags = {"strong": [f'"{self.version}"'], "weak": [f'W/"{self.version}"'], "two": ['"a"', f'"{self.version}"']}
        tag = tags.get(step.tag, [])
        is_same = step.method != "POST" and bool(tag) and tag[-1] in (asked.get("if-none-match") or "").split(", ")
        status = 304 if is_same else 200
        fields = _fields(
            ("Date", format_date(self.now + step.born)), ("Cache-Control", step.says), ("Vary", step.vary),
            ("Age", str(step.age)), ("X-Version", str(self.version)), *(("ETag", one) for one in tag),
            ("Expires", "" if step.expires is None else format_date(self.now + step.expires)),
        )  # fmt: skip
        context = ResponseContext(request, decision, self.now, lambda _: NO_OVERRIDES, 1000, str(next(self.ids)))
        if step.method == "POST":
            for key in invalidated("POST", KEY, status, fields):
                await self.store.purge(Selector("key", key))
            self.forget()
        decided = decide_response(context, ResponseHead(status, "OK", fields), self.now)
        if isinstance(decided, Refetch):
            await self.forward(step, request, Miss(ForwardReason.BYPASS))
            return
        if step.method != "HEAD" or status == 304:
            self.note(step, is_same)
        elif isinstance(decided, Freshen):
            self.note(step, True)
        await self.carry_out(decided, step)

    def note(self, step: Step, is_same: bool) -> None:
        """Have the model keep what the origin has said."""
        if step.method == "POST":
            return
        first = next((one.asked for one in reversed(self.sent) if one.version == self.version), step)
        asked = Step(x=first.x, authorization=step.authorization or first.authorization, asks=step.asks)
        for x in {step.x, first.x} if is_same else {step.x}:
            self.sent.append(Sent(step, self.now, self.version, Step(
                x=x, authorization=asked.authorization if is_same else step.authorization, asks=step.asks
            )))  # fmt: skip

    def forget(self) -> None:
        """Have the model forget all that was sent."""
        for one in self.sent:
            one.gone = True

    async def carry_out(self, decided: object, step: Step) -> None:
        """Do with the store what is decided."""
        match decided:
            case StoreResponse(entry=entry) if step.method != "HEAD":
                await keep(self.store, entry, b"version %d" % self.version, await checkpoint(self.store))
            case Freshen(old=old, new=new):
                await (self.store.remove(old) if new is None else self.store.update(old, new, self.store.checkpoint))
            case DontStore(removes=removes) if removes is not None:
                await self.store.remove(removes)


def _fields(*lines: tuple[str, str]) -> Fields:
    return Fields.of(*((name, value) for name, value in lines if value))


@settings(max_examples=400)
@given(st.lists(STEPS, min_size=2, max_size=8))
def test_nothing_comes_from_the_store_that_may_not(steps: list[Step]) -> None:
    async def run() -> None:
        course = Course()
        for step in steps:
            await course.take(step)

    asyncio.run(run())


def test_what_may_come_from_the_store_does() -> None:
    async def run() -> int:
        course = Course()
        for step in (Step(), Step(pause=6), Step(asks="max-stale=15", pause=6), Step(method="HEAD", asks="max-stale")):
            await course.take(step)
        return course.hits

    assert asyncio.run(run()) == 3
