"""What has ended is told to whoever wants to know."""

from collections.abc import Iterator

import pytest

from proxy_policies import finished
from proxy_policies.finished import Again, Asked, Finished


class Told:
    def __init__(self) -> None:
        self.whats: list[object] = []

    def finished(self, what: Finished) -> None:
        self.whats.append(what)

    def answered_again(self, again: Again) -> None:
        self.whats.append(again)


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told()
    end = finished.subscribe(told)
    yield told
    end()
    assert told not in finished.SUBSCRIBERS


def test_subscribers_are_told(told: Told) -> None:
    what = Finished(Asked(), None, 0, 0, 200)
    assert finished.report(what) is what
    finished.report_again((what, ("::1", 1), 2.5))
    assert told.whats == [what, (what, ("::1", 1), 2.5)]


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
