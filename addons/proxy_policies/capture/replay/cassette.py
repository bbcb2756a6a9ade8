"""The recordings being replayed: which one answers a request, which are used, and why none matches."""

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
    """How often recordings are used.

    `once`: each once, in order. `loop`: from the first again when all are used. `new`: as `once`, but requests that
    were not recorded are forwarded and recorded. `strict`: as `once`, and unused recordings are an error.
    """

    ONCE = "once"
    LOOP = "loop"
    NEW = "new"
    STRICT = "strict"


@dataclass(frozen=True, slots=True)
class Miss:
    """A request without an unused recording: the number of used ones that match, and the nearest one's differences."""

    matching: int
    nearest: int | None = None
    differences: tuple[Difference, ...] = ()
    hint: str = ""
    """Command-line options with which the nearest recording would match."""

    def explain(self) -> str:
        """Return why there is no recording, with the nearest one and its differences."""
        if self.matching:
            times = "once" if self.matching == 1 else f"{self.matching} times"
            return f"recorded {times}, but requested again (--mode loop repeats recordings)"
        if self.nearest is None:
            return "the capture is empty"
        lines = "; ".join(str(difference) for difference in self.differences)
        suggestion = f"; it would match with {self.hint}" if self.hint else ""
        return f"not recorded; nearest is entry {self.nearest + 1}, which differs in {lines}{suggestion}"


@dataclass(frozen=True, slots=True)
class Match:
    """The matching recording, and the dynamic values that differ: ids, times, random values."""

    number: int
    differences: tuple[Difference, ...] = ()


@dataclass(slots=True)
class Cassette:
    """Recordings by their canonical text, numbered from 0.

    `any_secret`: a placeholder matches any value, as the recording was made with another key. `exact`: dynamic values
    must be equal, too.
    """

    mode: ReplayMode = ReplayMode.ONCE
    any_secret: bool = False
    exact: bool = False
    used: set[int] = field(default_factory=set)
    _keys: list[RequestKey] = field(default_factory=list)
    _by_text: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    _by_masked_text: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    _patterns: list[tuple[re.Pattern[str], int]] = field(default_factory=list)

    def add(self, key: RequestKey) -> None:
        """Add the next recording."""
        number = len(self._keys)
        text = key.canonical()
        self._keys.append(key)
        self._by_text[_digest(text)].append(number)
        if not self.exact:
            self._by_masked_text[_digest(dynamic_values.mask(text))].append(number)
        pattern = pattern_of(text) if self.any_secret else None
        if pattern is not None:
            self._patterns.append((pattern, number))

    def extend(self, keys: Iterable[RequestKey]) -> None:
        """Add recordings."""
        for key in keys:
            self.add(key)

    def __len__(self) -> int:
        return len(self._keys)

    def match(self, key: RequestKey) -> Match | Miss:
        """Return the recording that matches, and mark it as used; a Miss if there is none."""
        text = key.canonical()
        exact = self._by_text.get(_digest(text), [])
        masked = self._by_masked_text.get(_digest(dynamic_values.mask(text)), [])
        by_pattern = [number for pattern, number in self._patterns if pattern.fullmatch(text)] if not exact else []
        for numbers in (exact, by_pattern, masked):
            number = self._first_free(numbers)
            if number is not None:
                self.used.add(number)
                return Match(number, self._differences(number, key) if numbers is masked else ())
        return self._miss(key, len({*exact, *by_pattern, *masked}))

    def _differences(self, number: int, key: RequestKey) -> tuple[Difference, ...]:
        return tuple(differences(self._keys[number], key))

    def free(self, numbers: Sequence[int]) -> Iterator[int]:
        """Yield those of these recordings that are unused; in mode `loop`, all of them if all are used."""
        if self.mode is ReplayMode.LOOP and self.used.issuperset(numbers):
            self.used.difference_update(numbers)
        return (number for number in numbers if number not in self.used)

    def available(self, numbers: Sequence[int]) -> list[int]:
        """Return those of these recordings that are unused; in mode `loop`, followed by the used ones."""
        free = list(self.free(numbers))
        used = [number for number in numbers if number in self.used] if self.mode is ReplayMode.LOOP else []
        return [*free, *used]

    def _first_free(self, numbers: list[int]) -> int | None:
        return next(self.free(numbers), None)

    def _miss(self, key: RequestKey, matching: int) -> Miss:
        if not self._keys:
            return Miss(matching)
        nearest = max(range(len(self._keys)), key=lambda number: similarity(self._keys[number], key))
        hint = "" if matching else ignore_hint.hint(self._keys[nearest], key)
        return Miss(matching, nearest, self._differences(nearest, key), hint)

    def unused(self) -> list[int]:
        """Return the numbers of the recordings that were not used."""
        return [number for number in range(len(self._keys)) if number not in self.used]


def _digest(text: str) -> str:
    return text if len(text) < 100 else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
