"""Recorded gRPC calls whose client waited for responses before it had sent all its messages, by their heads.

Such a call must be answered before its request is complete, so its messages cannot be used to find it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from proxy_policies.capture import dynamic_values
from proxy_policies.capture.model import Body, Entries, Request
from proxy_policies.capture.replay.interleaved import MAX_CANDIDATES, InterleavedCall
from proxy_policies.capture.replay.matching import Matching, matches_recorded, request_key
from proxy_policies.capture.secrets.redact import Redactor
from proxy_policies.capture.streams.interleaving import interleaving, is_interleaved
from proxy_policies.capture.streams.messages import is_grpc


@dataclass(frozen=True, slots=True)
class CallIndex:
    """Recordings of gRPC calls by their heads; a head is found if a recording of it is interleaved."""

    entries: Entries
    redactor: Redactor
    matching: Matching
    exact: bool = False
    any_secret: bool = False
    _numbers: Mapping[str, list[int]] = field(default_factory=lambda: defaultdict(list), init=False)
    _heads: set[str] = field(default_factory=set, init=False)

    def add(self, number: int, request: Request) -> None:
        """Add a recording."""
        if is_grpc(request) and request.body.frame_times:
            head = self._head(request)
            self._numbers[head].append(number)
            if head not in self._heads and is_interleaved(self.entries[number]):
                self._heads.add(head)

    def may_contain(self, request: Request) -> bool:
        """Return whether an unredacted request may be such a call, by its media type."""
        return bool(self._heads) and is_grpc(request)

    def contains(self, request: Request) -> bool:
        """Return whether a redacted request has the head of such a call."""
        return self.may_contain(request) and self._head(request) in self._heads

    def numbers(self, request: Request) -> Sequence[int]:
        """Return the numbers of the recordings with the head of a request."""
        return self._numbers[self._head(request)]

    def call(self, request: Request, numbers: Iterable[int]) -> InterleavedCall:
        """Return a call with this head, to be answered by one of the first `MAX_CANDIDATES` of these recordings."""
        steps = {number: interleaving(self.entries[number]) for number in islice(numbers, MAX_CANDIDATES)}
        return InterleavedCall(steps, lambda recorded, got: self._compare(request, recorded, got))

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
        return f"recorded {one}, got {other}" if matches_recorded(one, other, self.exact, self.any_secret) else None

    def _canonical(self, request: Request, message: bytes) -> str:
        return request_key(Request("", "", request.headers, Body(message)), self.matching).canonical()
