"""Pipelines: whatever the way a body is cut into chunks, the same comes out."""

import asyncio
import weakref
import zlib
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.body import CHUNK, PREVIEW_LIMIT, Pipeline, Preview, Stage
from tests.support.stages import Recorder, Suffix

CHUNKS = st.lists(st.binary(max_size=40) | st.binary(min_size=1, max_size=3).map(lambda unit: unit * CHUNK), max_size=5)


class Deflate:
    """A transform that holds back, as every encoder does."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj()

    def feed(self, data: bytes) -> bytes:
        return self._deflate.compress(data)

    def finish(self) -> bytes:
        return self._deflate.flush()


def streamed(pipeline: Pipeline, chunks: list[bytes]) -> list[bytes]:
    """Do as mitmproxy does: chunks as they come, then b""."""
    return [out for chunk in [*filter(None, chunks), b""] for out in pipeline.stream(chunk)]


@given(CHUNKS)
def test_streamed_in_any_chunks_a_body_comes_out_whole(chunks: list[bytes]) -> None:
    before, after, pipeline = Recorder(), Recorder(), Pipeline()
    pipeline.tap(Stage.CLIENT, after)
    pipeline.add(Stage.ENCODER, Deflate())
    pipeline.tap(Stage.ORIGIN, before)
    out = streamed(pipeline, chunks)
    assert all(out)
    assert zlib.decompress(b"".join(out)) == b"".join(chunks) == before.seen
    assert after.seen == b"".join(out)
    assert before.ends == after.ends == ["finish"]
    assert max(before.largest, 1) <= CHUNK


@given(st.binary(max_size=40) | st.binary(min_size=1, max_size=3).map(lambda unit: unit * CHUNK))
async def test_run_whole_it_comes_out_the_same(body: bytes) -> None:
    tap, pipeline = Recorder(), Pipeline()
    pipeline.add(Stage.ENCODER, Deflate())
    pipeline.tap(Stage.CACHE, tap)
    assert zlib.decompress(await pipeline.run(body)) == body == tap.seen
    assert tap.ends == ["finish"]
    assert tap.largest <= CHUNK


@given(st.binary(max_size=40) | st.binary(min_size=1, max_size=3).map(lambda unit: unit * CHUNK))
async def test_taps_alone_are_shown_a_whole_body_without_a_wait(body: bytes) -> None:
    first, last, pipeline = Recorder(), Recorder(), Pipeline()
    pipeline.tap(Stage.ORIGIN, first)
    pipeline.add(Stage.ENCODER, Suffix(b"!"))
    pipeline.tap(Stage.CLIENT, last)
    assert pipeline.pass_taps(body, before=Stage.ENCODER)
    assert first.seen == body
    assert (first.ends, pipeline.is_finished) == (["finish"], False)
    assert not pipeline.pass_taps(body)
    assert await pipeline.run(body) == last.seen == body + b"!"


def test_parts_run_in_the_order_of_their_stages() -> None:
    pipeline = Pipeline()
    for stage, suffix in [(Stage.CLIENT, b"3"), (Stage.ORIGIN, b"1"), (Stage.ENCODER, b"2a"), (Stage.ENCODER, b"2b")]:
        pipeline.add(stage, Suffix(suffix))
    assert streamed(pipeline, [b"0"]) == [b"0", b"12a2b3"]


def test_an_empty_pipeline_passes_everything() -> None:
    pipeline = Pipeline()
    assert not pipeline
    assert streamed(pipeline, [b"a", b"b"]) == [b"a", b"b"]
    assert pipeline.is_finished


async def test_a_body_ends_once() -> None:
    tap, pipeline = Recorder(), Pipeline()
    pipeline.tap(Stage.CACHE, tap)
    pipeline.add(Stage.ENCODER, Suffix(b"!"))
    assert streamed(pipeline, [b"a"]) == [b"a", b"!"]
    assert pipeline.stream(b"") == []
    assert await pipeline.run(b"again") == b"again"
    pipeline.abort()
    assert tap.ends == ["finish"]


def test_a_body_that_breaks_off_never_finishes() -> None:
    tap, pipeline = Recorder(), Pipeline()
    pipeline.tap(Stage.CACHE, tap)
    pipeline.add(Stage.ENCODER, Suffix(b"!"))
    pipeline.stream(b"half")
    pipeline.abort()
    pipeline.abort()
    assert pipeline.stream(b"") == []
    assert (bytes(tap.seen), tap.ends) == (b"half", ["abort"])


@pytest.mark.parametrize("where", ["feed", "finish", "abort"])
def test_a_taps_fault_is_logged_and_the_body_goes_on(where: str, caplog: pytest.LogCaptureFixture) -> None:
    bad, good, pipeline = Recorder(fails_in=where), Recorder(), Pipeline()
    pipeline.tap(Stage.CACHE, bad)
    pipeline.tap(Stage.CLIENT, good)
    if where == "abort":
        pipeline.stream(b"a")
        pipeline.abort()
        assert (bad.ends, good.ends) == (["abort"], ["abort"])
    else:
        assert streamed(pipeline, [b"a", b"b"]) == [b"a", b"b"]
        assert (bad.ends, good.ends) == (["abort"], ["finish"])
    assert [record.message.startswith("a body's tap failed") for record in caplog.records] == [True]


def test_only_transforms_change_a_body() -> None:
    pipeline = Pipeline()
    pipeline.tap(Stage.CACHE, Recorder())
    assert pipeline
    assert not pipeline.transforms
    pipeline.add(Stage.ENCODER, Suffix(b""))
    assert pipeline.transforms


@given(CHUNKS)
def test_a_preview_is_the_beginning(chunks: list[bytes]) -> None:
    preview, body = Preview(), b"".join(chunks)
    for chunk in chunks:
        preview.feed(chunk)
    preview.finish()
    assert preview.kept == body[:PREVIEW_LIMIT]
    assert preview.size == len(body)
    assert preview.whole == (len(body) <= PREVIEW_LIMIT)


def test_a_preview_of_what_broke_off_is_not_whole() -> None:
    preview = Preview()
    preview.feed(b"half")
    preview.abort()
    assert (bytes(preview.kept), preview.whole) == (b"half", False)


ENDS: dict[str, Callable[[Pipeline], Awaitable[object]]] = {
    "finished": lambda pipeline: asyncio.to_thread(pipeline.finish),
    "broken off": lambda pipeline: asyncio.to_thread(pipeline.abort),
    "run": lambda pipeline: pipeline.run(b"body"),
}


@pytest.mark.parametrize("end", ENDS)
async def test_what_it_held_is_free_when_it_is_over(end: str) -> None:
    """An encoder has megabytes that the garbage collector does not know of, and a flow may be kept for long."""
    pipeline, encoder = Pipeline(), Deflate()
    pipeline.add(Stage.ENCODER, encoder)
    known = weakref.ref(encoder)
    del encoder
    await ENDS[end](pipeline)
    assert known() is None
    assert pipeline.is_finished
    assert pipeline.finish() == b""
