"""What is kept of a body, and when it came."""

import hashlib

from proxy_policies.capture.record.bounded_body import BoundedBody
from proxy_policies.capture.streams import arrivals


def test_what_is_beyond_the_bound_is_counted_and_hashed() -> None:
    body = BoundedBody(5)
    for part in (b"abc", b"def", b"ghi"):
        body.feed(part)
    assert (bytes(body.kept), body.dropped, body.is_whole) == (b"abcde", 4, False)
    assert body.sha256 == hashlib.sha256(b"abcdefghi").hexdigest()
    body.finish()
    assert body.is_whole
    assert body.arrivals == [], "nobody asked for times"


def test_arrivals_count_what_is_kept() -> None:
    times = iter([1.0, 2.0, 3.0])
    body = BoundedBody(5)
    body.time_arrivals(lambda: next(times))
    for part in (b"abc", b"def", b"ghi"):
        body.feed(part)
    assert body.arrivals == [(3, 1.0), (5, 2.0), (5, 3.0)]


def test_arrivals_are_bounded() -> None:
    body = BoundedBody(10)
    body.time_arrivals(lambda: 1.0)
    for _ in range(arrivals.MAX_ARRIVALS + 10):
        body.feed(b"")
    assert len(body.arrivals) == arrivals.MAX_ARRIVALS
