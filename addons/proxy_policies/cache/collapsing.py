"""Many simultaneous requests for one key make one request upstream.

The first is the leader; the crowd waits, for a bounded time, until the leader's
response is stored, or known not to be. Then all who waited go on at once.
"""

import asyncio
from collections import OrderedDict
from enum import Enum

WAIT = 5.0
"""Seconds a request waits for its leader at most (nginx's proxy_cache_lock_timeout)."""
LEAD = 60.0
"""Seconds after which another may lead beside a leader that is not done (as nginx's proxy_cache_lock_age)."""
UNSHARED_TTL = 120.0
"""Seconds for which requests for what was not storable are not held up again (Varnish's hit-for-miss)."""
UNSHARED_MOST = 4096
"""Keys remembered as not storable."""


class Outcome(Enum):
    """What became of a leader."""

    STORED = "stored"
    """Look again."""
    LEFT = "left"
    """Its client went away: somebody else leads."""
    UNSHARED = "unshared"
    """Its response is not stored: everybody for himself."""
    FAILED = "failed"
    """The origin failed: everybody finds out for himself, all at once."""
    TIMEOUT = "timeout"
    """It is slow."""


class Flight:
    """One request under way that others may wait for."""

    __slots__ = ("_landed", "_tower", "key", "since", "waiting")

    def __init__(self, tower: "Tower", key: str, since: float) -> None:
        self._tower = tower
        self.key = key
        self.since = since
        self.waiting = 0
        """How many wait."""
        self._landed: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def land(self, outcome: Outcome, now: float) -> None:
        """Tell the crowd; only the first word counts."""
        if not self._landed.done():
            self._landed.set_result(outcome)
            self._tower.landed(self, outcome, now)

    async def wait(self, seconds: float) -> Outcome:
        """Wait until it has landed."""
        self.waiting += 1
        try:
            return await asyncio.wait_for(asyncio.shield(self._landed), seconds)
        except TimeoutError:
            return Outcome.TIMEOUT
        finally:
            self.waiting -= 1


class Tower:
    """Knows the flights in the air, by key."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}
        self._unshared: OrderedDict[str, float] = OrderedDict()

    def find(self, key: str, now: float) -> Flight | None:
        """Give the flight to wait for."""
        flight = self._flights.get(key)
        return flight if flight is not None and flight.since > now - LEAD else None

    def is_unshared(self, key: str, now: float) -> bool:
        """Say whether waiting was in vain of late."""
        return self._unshared.get(key, 0.0) > now

    def lead(self, key: str, now: float) -> Flight:
        """Begin a flight."""
        flight = self._flights[key] = Flight(self, key, now)
        return flight

    def landed(self, flight: Flight, outcome: Outcome, now: float) -> None:
        """Forget a flight, and remember what was in vain."""
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
        if outcome is Outcome.STORED:
            self._unshared.pop(flight.key, None)
        elif outcome is Outcome.UNSHARED:
            self._unshared[flight.key] = now + UNSHARED_TTL
            self._unshared.move_to_end(flight.key)
            if len(self._unshared) > UNSHARED_MOST:
                self._unshared.popitem(last=False)
