"""Recorded gRPC calls whose client waited for answers before it had sent all its messages, by what their heads say.

Such a call must be answered before its request is whole, so its messages cannot be what it is found by.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

from proxy_policies.capture import dynamic_values
from proxy_policies.capture.model import Body, Entry, Request
from proxy_policies.capture.replay.interleaved import CANDIDATES, Turns
from proxy_policies.capture.replay.matching import Matching, request_key, stands_for
from proxy_policies.capture.secrets.redact import Redactor
from proxy_policies.capture.streams.interleaving import interleaving, is_interleaved
from proxy_policies.capture.streams.messages import is_grpc


class Entries(Protocol):
    """Entries by number."""

    def __getitem__(self, number: int, /) -> Entry: ...


@dataclass(frozen=True, slots=True)
class CallIndex:
    """Recordings of gRPC calls by their heads; a head counts when both sides spoke by turns in one of them."""

    entries: Entries
    redactor: Redactor
    matching: Matching
    exact: bool = False
    any_secret: bool = False
    _numbers: Mapping[str, list[int]] = field(default_factory=lambda: defaultdict(list), init=False)
    _heads: set[str] = field(default_factory=set, init=False)

    def add(self, number: int, request: Request) -> None:
        """Take the next recording."""
        if is_grpc(request) and request.body.frame_times:
            head = self._head(request)
            self._numbers[head].append(number)
            if head not in self._heads and is_interleaved(self.entries[number]):
                self._heads.add(head)

    def may_have(self, request: Request) -> bool:
        """Return whether a request may be such a call, by its media type: redacting it is worth while."""
        return bool(self._heads) and is_grpc(request)

    def has(self, request: Request) -> bool:
        """Return whether a request with this head, redacted, may be such a call."""
        return self.may_have(request) and self._head(request) in self._heads

    def numbers(self, request: Request) -> Sequence[int]:
        """Return the recordings that have the head of a request."""
        return self._numbers[self._head(request)]

    def turns(self, request: Request, numbers: Iterable[int]) -> Turns:
        """Return a call with this head that one of these recordings may answer, of which only the first few count."""
        steps = {number: interleaving(self.entries[number]) for number in islice(numbers, CANDIDATES)}
        return Turns(steps, lambda recorded, got: self._compare(request, recorded, got))

    def _head(self, request: Request) -> str:
        key = request_key(replace(request, body=Body()), replace(self.matching, body=False)).canonical()
        return key if self.exact else dynamic_values.mask(key)

    def _compare(self, request: Request, recorded: bytes, got: bytes) -> str | None:
        if recorded == got:
            return ""
        clean = self.redactor.request_swept(replace(request, body=Body(got))).body.content
        one, other = self._canonical(request, recorded), self._canonical(request, clean)
        if one == other:
            return ""
        return f"recorded {one}, got {other}" if stands_for(one, other, self.exact, self.any_secret) else None

    def _canonical(self, request: Request, message: bytes) -> str:
        return request_key(Request("", "", request.headers, Body(message)), self.matching).canonical()
