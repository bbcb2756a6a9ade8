"""A message's stream, and when it sends what it has held back."""

from proxy_policies.body import Pipeline, Preview, Stage
from proxy_policies.streaming.stream import HELD_BACK, PAUSE, Stream


class Holding:
    """A transform that holds back what it is fed until it is flushed or finished."""

    holds_back = True

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        self._held += data
        return b""

    def flush(self) -> bytes:
        held, self._held = self._held, b""
        return held

    def finish(self) -> bytes:
        return self.flush()

    def abort(self) -> None:
        """Nothing is open."""


def stream(*, is_eager: bool = False, is_asked_for: bool = True) -> Stream:
    pipeline, preview = Pipeline(), Preview(100)
    pipeline.tap(Stage.PREVIEW, preview)
    pipeline.add(Stage.ENCODER, Holding())
    return Stream(pipeline, preview, is_eager, is_asked_for)


def test_what_is_held_back_is_due_after_a_pause() -> None:
    made = stream()
    assert list(made(b"one")) == []
    seconds = made.seconds_to_flush()
    assert seconds is not None
    assert seconds <= max(PAUSE, HELD_BACK)
    assert list(made.flush()) == [b"one"]
    assert list(made(b"two")) == []
    assert b"".join(made(b"")) == b"two"


def test_a_stream_that_holds_nothing_back_is_never_due() -> None:
    assert Stream(Pipeline(), Preview(100)).seconds_to_flush() is None


def test_an_eager_stream_holds_nothing_back() -> None:
    assert list(stream(is_eager=True)(b"event")) == [b"event"]


def test_only_what_we_chose_to_stream_is_held_to_a_limit() -> None:
    for is_asked_for in (False, True):
        made = stream(is_asked_for=is_asked_for)
        list(made(b"12345"))
        list(made.flush())
        assert not made.exceeds(10, 5)
        assert made.exceeds(10, 6) is not is_asked_for
