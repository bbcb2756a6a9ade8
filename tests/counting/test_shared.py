"""There is one set of counts, however many read it, and none while nobody does."""

from proxy_policies import finished
from proxy_policies.counting.shared import Counting
from proxy_policies.finished import Asked, Finished

GET = Finished(Asked(b"GET"), None, 0, 0, 200)


async def test_readers_share_the_counts() -> None:
    counting, before = Counting(), len(finished.SUBSCRIBERS)
    counting.begin()
    counting.begin()
    assert len(finished.SUBSCRIBERS) == before + 1
    finished.report(GET)
    assert counting.read().requests.total() == 1, "what was told nobody yet is counted"
    counting.end()
    finished.report((GET, ("::1", 1), 0.0))
    assert counting.read().requests.total() == 2
    counting.end()
    assert len(finished.SUBSCRIBERS) == before
    counting.begin()
    assert counting.read().requests.total() == 0
    counting.end()
