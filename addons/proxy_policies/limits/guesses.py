"""Delays clients that guess secrets. Pure."""

from __future__ import annotations

import math
from collections import OrderedDict

from proxy_policies.limits.shares import share_of

FORGET_GUESS = 60.0  # seconds
FIRST_GUESS, LAST_GUESS = 0.1, 1.0  # seconds of delay after a wrong secret; sshd's is some 2 s


class Guesses:
    """Delays guesses at a secret, by address (IPv6: by /64), longer with each wrong one."""

    def __init__(self, most: int = 1024) -> None:
        self._most = most
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()  # number, time of the last

    def delay(self, address: str, now: float) -> float:
        """Return the seconds by which to delay the next response to an address."""
        count, last = self._wrong.get(share_of(address), (0, now))
        if not count or now - last > FORGET_GUESS:
            return 0
        return min(LAST_GUESS, math.ldexp(FIRST_GUESS, min(count, 16) - 1))

    def wrong(self, address: str, now: float) -> None:
        """Note a wrong secret."""
        share = share_of(address)
        count = self._wrong.get(share, (0, now))[0] if self.delay(address, now) else 0
        self._wrong[share] = count + 1, now
        self._wrong.move_to_end(share)
        if len(self._wrong) > self._most:
            self._wrong.popitem(last=False)
