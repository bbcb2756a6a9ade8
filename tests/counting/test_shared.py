"""All readers share one set of counts; without readers there is none."""

from proxy_policies.counting.shared import Counting
from proxy_policies.finished import reporting
from proxy_policies.finished.reporting import Record
from proxy_policies.flows.request_summary import RequestSummary

GET = Record(RequestSummary(b"GET"), None, 0, 0, 200)


async def test_readers_share_the_counts() -> None:
    counting, before = Counting(), len(reporting.SUBSCRIBERS)
    counting.begin()
    counting.begin()
    assert len(reporting.SUBSCRIBERS) == before + 1
    reporting.report(GET)
    assert counting.read().requests.total() == 1, "what was told nobody yet is counted"
    counting.end()
    reporting.UNDELIVERED.add((GET.repeated(), ("::1", 1), 0.0))
    assert counting.read().requests.total() == 2
    counting.end()
    assert len(reporting.SUBSCRIBERS) == before
    counting.begin()
    assert counting.read().requests.total() == 0
    counting.end()
