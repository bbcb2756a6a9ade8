"""What has ended is told to whoever wants to know."""

import asyncio
from collections.abc import Sequence

from proxy_policies import finished
from proxy_policies.finished import Asked, Finished, Item


async def test_subscribers_are_told_all_in_order_and_not_each_by_itself() -> None:
    first, second = Finished(Asked(), None, 0, 0, 200), Finished(Asked(), None, 0, 0, 200)
    told: list[object] = []
    is_told = asyncio.Event()

    def take(items: Sequence[Item]) -> None:
        told.append(items)
        is_told.set()

    unsubscribe = finished.subscribe(take)
    again = first, ("::1", 1), 2.5
    for item in (first, again, second):
        finished.report(item)
    assert told == []
    await asyncio.wait_for(is_told.wait(), 60)
    assert told == [[first, again, second]]
    finished.report(second)
    finished.deliver()
    finished.deliver()
    assert told[1:] == [[second]]
    finished.report(first)
    unsubscribe()
    assert told[2:] == [[first]]
    assert take not in finished.SUBSCRIBERS


async def test_who_comes_later_is_not_told_of_what_was_before() -> None:
    told: list[object] = []
    finished.report(Finished(Asked(), None, 0, 0, 200))
    finished.subscribe(told.append)()
    assert told == []


def test_texts_are_cut_and_fields_are_found_in_any_case() -> None:
    long = b"a" * 100_000
    fields = [(b"HOST", b"h"), (b"Referer", long), (b"user-agent", b"x"), (b"other", b"y"), (b"cookie", b"z")]
    asked = finished.asked(b"GET", long, b"HTTP/1.1", fields)
    assert (asked.host, asked.user_agent) == (b"h", b"x")
    assert len(asked.target) <= finished.LONGEST_TEXT


def test_no_half_of_a_token_is_kept() -> None:
    for begun in (b"/?token=", b"/a/", b"/?a=b&c;d="):
        asked = finished.asked(b"GET", begun + b"x" * 3000, b"HTTP/1.1", [])
        assert asked.target == begun + b"..."
