"""A recording being played: which entry answers a request, in which mode, and what was missed or left over."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from proxy_policies.capture import dynamic_values
from proxy_policies.capture.replay import ignore_hint
from proxy_policies.capture.replay.matching import Difference, RequestKey, differences, pattern_of, similarity


class ReplayMode(StrEnum):
    """How recordings are used up.

    `once`: each one once, in their order. `loop`: again from the first when all are used. `new`: as `once`, and
    what is missing goes to the network and is recorded. `strict`: as `once`, and every one must be used.
    """

    ONCE = "once"
    LOOP = "loop"
    NEW = "new"
    STRICT = "strict"


@dataclass(frozen=True, slots=True)
class Miss:
    """A request that nothing answers: how many like it there were, and the nearest recording with what differs."""

    recorded: int
    nearest: int | None = None
    differences: tuple[Difference, ...] = ()
    hint: str = ""
    """The options that would have let it match, as a command line has them."""

    def explain(self) -> str:
        """Return why there is no answer, naming the nearest recording and what differs from it."""
        if self.recorded:
            times = "once" if self.recorded == 1 else f"{self.recorded} times"
            return f"recorded {times}, but requested again (--mode loop repeats recordings)"
        if self.nearest is None:
            return "the capture is empty"
        lines = "; ".join(str(difference) for difference in self.differences)
        would = f"; it would match with {self.hint}" if self.hint else ""
        return f"not recorded; nearest is entry {self.nearest + 1}, which differs in {lines}{would}"


@dataclass(frozen=True, slots=True)
class Match:
    """The recording that answers, and what differs from it all the same: ids, times, random values."""

    number: int
    differences: tuple[Difference, ...] = ()


@dataclass(slots=True)
class Cassette:
    """Recordings by their canonical text. `any_secret`: made with another key, so a placeholder matches anything.

    `exact`: values that differ each time must be those that were recorded.
    """

    mode: ReplayMode = ReplayMode.ONCE
    any_secret: bool = False
    exact: bool = False
    used: set[int] = field(default_factory=set)
    _parts: list[RequestKey] = field(default_factory=list)
    _exact: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    _loose: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    _patterns: list[tuple[re.Pattern[str], int]] = field(default_factory=list)

    def add(self, parts: RequestKey) -> None:
        """Append the next recording."""
        number = len(self._parts)
        text = parts.canonical()
        self._parts.append(parts)
        self._exact[_key(text)].append(number)
        if not self.exact:
            self._loose[_key(dynamic_values.mask(text))].append(number)
        pattern = pattern_of(text) if self.any_secret else None
        if pattern is not None:
            self._patterns.append((pattern, number))

    def extend(self, many: Iterable[RequestKey]) -> None:
        """Append recordings."""
        for parts in many:
            self.add(parts)

    def __len__(self) -> int:
        return len(self._parts)

    def match(self, parts: RequestKey) -> Match | Miss:
        """Return the recording that answers, which is then used, or the miss."""
        text = parts.canonical()
        exact = self._exact.get(_key(text), [])
        loose = self._loose.get(_key(dynamic_values.mask(text)), [])
        fitting = [number for pattern, number in self._patterns if pattern.fullmatch(text)] if not exact else []
        for numbers in (exact, fitting, loose):
            number = self._next(numbers)
            if number is not None:
                self.used.add(number)
                return Match(number, self._differences(number, parts) if numbers is loose else ())
        return self._miss(parts, len({*exact, *fitting, *loose}))

    def _differences(self, number: int, parts: RequestKey) -> tuple[Difference, ...]:
        return tuple(differences(self._parts[number], parts))

    def free(self, numbers: Sequence[int]) -> Iterator[int]:
        """Yield those of these recordings that can be played now: the unused, or all again where they loop."""
        if self.mode is ReplayMode.LOOP and self.used.issuperset(numbers):
            self.used.difference_update(numbers)
        return (number for number in numbers if number not in self.used)

    def any_of(self, numbers: Sequence[int]) -> list[int]:
        """Return those of these recordings that can be played, any of which may do; where they loop, used ones last."""
        free = list(self.free(numbers))
        again = [number for number in numbers if number in self.used] if self.mode is ReplayMode.LOOP else []
        return [*free, *again]

    def _next(self, numbers: list[int]) -> int | None:
        return next(self.free(numbers), None)

    def _miss(self, parts: RequestKey, recorded: int) -> Miss:
        if not self._parts:
            return Miss(recorded)
        nearest = max(range(len(self._parts)), key=lambda number: similarity(self._parts[number], parts))
        hint = "" if recorded else ignore_hint.hint(self._parts[nearest], parts)
        return Miss(recorded, nearest, self._differences(nearest, parts), hint)

    def unused(self) -> list[int]:
        """Return the recordings that were never played."""
        return [number for number in range(len(self._parts)) if number not in self.used]


def _key(text: str) -> str:
    return text if len(text) < 100 else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
