"""The recordings being replayed: which one answers a request, which are used, and why none matches."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from proxy_policies.capture import dynamic_values
from proxy_policies.capture.files.temporary_database import TemporaryDatabase, to_blob
from proxy_policies.capture.replay import ignore_hint
from proxy_policies.capture.replay.matching import Difference, RequestKey, differences, is_instance_of, similarity
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, without_kinds


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
class NoMatch:
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


_TABLE = """
CREATE TABLE recordings (
    number INTEGER PRIMARY KEY, key BLOB, text BLOB, masked BLOB, place BLOB, has_secret INTEGER, used INTEGER DEFAULT 0
);
CREATE INDEX by_text ON recordings (text, used);
CREATE INDEX by_masked ON recordings (masked, used);
CREATE INDEX by_place ON recordings (place)
"""
_ADD = "INSERT INTO recordings (number, key, text, masked, place, has_secret) VALUES (?, ?, ?, ?, ?, ?)"
_BY_TEXT, _BY_MASKED = (
    (
        f"SELECT number FROM recordings WHERE {column} = ? AND used = 0 ORDER BY number LIMIT 1",  # noqa: S608
        f"SELECT count(*) FROM recordings WHERE {column} = ?",  # noqa: S608
        f"UPDATE recordings SET used = 0 WHERE {column} = ?",  # noqa: S608
    )
    for column in ("text", "masked")
)
"""For each way to find recordings, the statements for the first unused one, for their number, and to reuse them."""
_SOME, _SOME_AT_PLACE = (
    f"SELECT number, key FROM recordings WHERE {place}number > ? ORDER BY number LIMIT 50"  # noqa: S608
    for place in ("", "place = ? AND ")
)
"""Statements for the next recordings to compare with, before others run: 50 take about a millisecond."""
_ANY_VALUE = "…"
_ANY_PLACE = b""  # of recordings with a secret in their path


class Cassette:
    """Recordings by their canonical text, numbered from 0, in a temporary file.

    `any_secret`: a placeholder matches any value, as the recording was made with another key. `exact`: dynamic values
    must be equal, too. Raises OSError if the disk is full.
    """

    def __init__(self, mode: ReplayMode = ReplayMode.ONCE, any_secret: bool = False, exact: bool = False) -> None:
        self.mode = mode
        self.any_secret = any_secret
        self.exact = exact
        self._table = TemporaryDatabase(_TABLE)
        self._count = 0

    def add(self, key: RequestKey) -> None:
        """Add the next recording."""
        text, place = self._text(key), _digest(_place(key))
        has_secret = self.any_secret and PLACEHOLDER.search(key.canonical()) is not None
        if has_secret and PLACEHOLDER.search(_place(key)):
            place = _ANY_PLACE
        masked = None if self.exact else _digest(dynamic_values.mask(text))
        self._table.execute(_ADD, (self._count, key.as_json(), _digest(text), masked, place, has_secret))
        self._count += 1

    def extend(self, keys: Iterable[RequestKey]) -> None:
        """Add recordings."""
        for key in keys:
            self.add(key)

    def __len__(self) -> int:
        return self._count

    def match(self, key: RequestKey) -> Match | NoMatch:
        """Return the recording that matches, and mark it as used; NoMatch without the nearest if there is none."""
        text = self._text(key)
        exact, masked = _digest(text), _digest(dynamic_values.mask(text))
        number = self._first_free(_BY_TEXT, exact)
        matching = self._number_of(_BY_TEXT, exact) if number is None else 0
        if number is None and not matching:
            by_pattern = self._by_pattern(key)
            number, matching = next(self.free(by_pattern), None), len(by_pattern)
        if number is not None:
            self.use(number)
            return Match(number)
        if (number := self._first_free(_BY_MASKED, masked)) is not None:
            self.use(number)
            return Match(number, tuple(differences(self._key(number), key)))
        return NoMatch(max(matching, self._number_of(_BY_MASKED, masked)))

    def _text(self, key: RequestKey) -> str:
        """Return the canonical text; without the identity of secrets if any secret matches."""
        text = key.canonical()
        return PLACEHOLDER.sub(_ANY_VALUE, text) if self.any_secret else text

    def _first_free(self, statements: tuple[str, str, str], digest: bytes) -> int | None:
        """Return the first unused recording with a text; in mode `loop`, reuse them all if there is none."""
        first, _, release = statements
        found = self._table.execute(first, (digest,))
        if not found and self.mode is ReplayMode.LOOP:
            self._table.execute(release, (digest,))
            found = self._table.execute(first, (digest,))
        return found[0][0] if found else None

    def _number_of(self, statements: tuple[str, str, str], digest: bytes) -> int:
        return int(self._table.execute(statements[1], (digest,))[0][0])

    def _by_pattern(self, key: RequestKey) -> list[int]:
        """Return the recordings that match if each placeholder in them stands for any value."""
        if not self.any_secret:
            return []
        text = key.canonical()
        rows = self._table.rows(
            "SELECT number, key FROM recordings WHERE place IN (?, ?) AND has_secret ORDER BY number",
            (_ANY_PLACE, _digest(_place(key))),
        )
        return [number for number, data in rows if is_instance_of(RequestKey.from_json(data).canonical(), text)]

    def _key(self, number: int) -> RequestKey:
        return RequestKey.from_json(self._table.execute("SELECT key FROM recordings WHERE number = ?", (number,))[0][0])

    def use(self, number: int) -> None:
        """Mark a recording as used."""
        self._table.execute("UPDATE recordings SET used = 1 WHERE number = ?", (number,))

    def release(self, number: int) -> None:
        """Mark a recording as unused."""
        self._table.execute("UPDATE recordings SET used = 0 WHERE number = ?", (number,))

    def free(self, numbers: Sequence[int]) -> Iterator[int]:
        """Yield those of these recordings that are unused; in mode `loop`, all of them if all are used."""
        if self.mode is ReplayMode.LOOP and all(map(self._is_used, numbers)):
            for number in numbers:
                self.release(number)
        return (number for number in numbers if not self._is_used(number))

    def available(self, numbers: Sequence[int]) -> list[int]:
        """Return those of these recordings that are unused; in mode `loop`, followed by the used ones."""
        free = list(self.free(numbers))
        used = [number for number in numbers if self._is_used(number)] if self.mode is ReplayMode.LOOP else []
        return [*free, *used]

    def _is_used(self, number: int) -> bool:
        return bool(self._table.execute("SELECT used FROM recordings WHERE number = ?", (number,))[0][0])

    async def explain(self, key: RequestKey, unmatched: NoMatch) -> NoMatch:
        """Return NoMatch with the nearest recording. It lets others run, as there may be many to compare with.

        It needs none if the request was recorded, but less often than it was sent.
        """
        if unmatched.matching:
            return unmatched
        most, number, nearest = -1, 0, key
        async for candidate, recorded in self._candidates(key):
            if (weight := similarity(recorded, key)) > most:
                most, number, nearest = weight, candidate, recorded
        if most < 0:
            return unmatched
        return NoMatch(0, number, tuple(differences(nearest, key)), ignore_hint.hint(nearest, key))

    async def _candidates(self, key: RequestKey) -> AsyncIterator[tuple[int, RequestKey]]:
        """Yield the recordings of which one is nearest: those with the same method, origin and path, or else all."""
        place = _digest(_place(key))
        is_known = bool(self._table.execute("SELECT 1 FROM recordings WHERE place = ? LIMIT 1", (place,)))
        select, values, last = (_SOME_AT_PLACE, (place,), -1) if is_known else (_SOME, (), -1)
        while rows := self._table.execute(select, (*values, last)):
            for number, data in rows:
                yield number, RequestKey.from_json(data)
            last = rows[-1][0]
            await asyncio.sleep(0)

    @property
    def used_count(self) -> int:
        """The number of recordings that were used."""
        return self._count - len(self.unused())

    def unused(self) -> list[int]:
        """Return the numbers of the recordings that were not used."""
        return [
            number for (number,) in self._table.rows("SELECT number FROM recordings WHERE used = 0 ORDER BY number")
        ]


def _place(key: RequestKey) -> str:
    return without_kinds(f"{key.method} {key.origin}{key.path}")


def _digest(text: str) -> bytes:
    return hashlib.sha256(to_blob(text)).digest()[:16]
