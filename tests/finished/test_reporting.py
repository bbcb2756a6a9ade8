"""Requests and tunnels that have ended are reported to subscribers."""

import asyncio
from collections.abc import Sequence

from proxy_policies.finished import reporting
from proxy_policies.finished.reporting import Item, Record
from proxy_policies.flows.request_summary import RequestSummary


async def test_subscribers_are_told_all_in_order_and_not_each_by_itself() -> None:
    first, second = Record(RequestSummary(), None, 0, 0, 200), Record(RequestSummary(), None, 0, 0, 200)
    told: list[object] = []
    is_told = asyncio.Event()

    def take(items: Sequence[Item]) -> None:
        told.append(items)
        is_told.set()

    unsubscribe = reporting.subscribe(take)
    again: Item = first.repeated(), ("::1", 1), 2.5
    reporting.report(first)
    reporting.UNDELIVERED.add(again)
    reporting.report(second)
    assert told == []
    await asyncio.wait_for(is_told.wait(), 60)
    assert told == [[first.item, again, second.item]]
    reporting.report(second)
    reporting.deliver()
    reporting.deliver()
    assert told[1:] == [[second.item]]
    reporting.report(first)
    unsubscribe()
    assert told[2:] == [[first.item]]
    assert take not in reporting.SUBSCRIBERS


async def test_who_comes_later_is_not_told_of_what_was_before() -> None:
    told: list[object] = []
    reporting.report(Record(RequestSummary(), None, 0, 0, 200))
    reporting.subscribe(told.append)()
    assert told == []
