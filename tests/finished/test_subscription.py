"""A policy's thread that gets every record while it runs."""

from __future__ import annotations

from collections.abc import Sequence

from proxy_policies.background.queued_thread import QueuedThread
from proxy_policies.finished import reporting
from proxy_policies.finished.reporting import Item, Record
from proxy_policies.finished.subscription import SubscribedThread
from proxy_policies.flows.request_summary import RequestSummary


class Recorder(QueuedThread[Item]):
    """Keeps the statuses of what it gets."""

    def __init__(self) -> None:
        super().__init__("test", "record", lambda _: None, max_queued=100, batch_size=10)
        self.statuses: list[int] = []

    def _process(self, items: Sequence[Item]) -> tuple[int, str]:
        self.statuses += [record.status for record, _, _ in items]
        return len(items), ""


def report(*statuses: int) -> None:
    for status in statuses:
        reporting.report(Record(RequestSummary(), None, 0.0, 0.0, status))


async def test_each_record_goes_to_the_thread_that_runs_when_it_is_reported() -> None:
    subscription, first, second = SubscribedThread[Recorder](), Recorder(), Recorder()
    assert subscription.statistics("records") == {}
    subscription.replace(first)
    report(200, 201)
    subscription.replace(second)
    report(202)
    reporting.deliver()
    await subscription.end()
    first.close(60)
    assert (first.statuses, second.statuses) == ([200, 201], [202])
    assert (subscription.thread, reporting.SUBSCRIBERS) == (None, [])


async def test_a_stopped_one_has_no_subscription() -> None:
    subscription, thread = SubscribedThread[Recorder](), Recorder()
    subscription.replace(thread)
    report(200)
    reporting.deliver()
    thread.close(60)
    assert subscription.statistics("records") == {"records": 1, "lost": 0}
    subscription.replace(None)
    await subscription.end()
    assert reporting.SUBSCRIBERS == []
