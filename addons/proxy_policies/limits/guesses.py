"""Whoever guesses at a secret has to wait. Pure."""

from __future__ import annotations

import math
from collections import OrderedDict

from proxy_policies.limits.shares import share_of

FORGET_GUESS = 60.0  # seconds
FIRST_GUESS, LAST_GUESS = 0.1, 1.0  # seconds that the answer takes after a wrong secret; sshd's is some 2 s


class Guesses:
    """Makes whoever guesses at the secret wait: by address (IPv6: by /64), longer with each wrong one."""

    def __init__(self, most: int = 1024) -> None:
        self._most = most
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()  # how many, the last when

    def delay(self, address: str, now: float) -> float:
        """Return for how many seconds the next answer to an address is to be held back."""
        count, last = self._wrong.get(share_of(address), (0, now))
        if not count or now - last > FORGET_GUESS:
            return 0
        return min(LAST_GUESS, math.ldexp(FIRST_GUESS, min(count, 16) - 1))

    def wrong(self, address: str, now: float) -> None:
        """Take note of a wrong secret."""
        share = share_of(address)
        count = self._wrong.get(share, (0, now))[0] if self.delay(address, now) else 0
        self._wrong[share] = count + 1, now
        self._wrong.move_to_end(share)
        if len(self._wrong) > self._most:
            self._wrong.popitem(last=False)
