"""Entries reach the file in the order in which they ended, without secrets, from every thread."""

import asyncio
import gzip
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support.capture_entries import an_entry
from tests.support.waiting import wait_until

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.har.reader import open_capture
from proxy_policies.capture.model import Body, Entry, Request, Response, Times
from proxy_policies.capture.record.entry_lines import Repeatable
from proxy_policies.capture.record.recorder import MAX_GATHERED, MAX_INLINE, MAX_QUEUED, CaptureRecorder, Recorded
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import Redactor, parse_rules
from proxy_policies.capture.streams.arrivals import Arrival

KEY = Placeholders(b"k" * 32)


def a_recorder(path: Path, max_body: int = 1 << 24) -> CaptureRecorder:
    return CaptureRecorder(path, Redactor(parse_rules(()), KEY), max_body, failed)


def write(recorder: CaptureRecorder, entry: Entry, arrivals: dict[str, list[Arrival]] | None = None) -> None:
    recorder.write(lambda: (entry, arrivals or {}), len(entry.response.body.content))


def failed(error: OSError) -> None:
    raise AssertionError("writing failed") from error


def sized(number: int, size: int) -> Entry:
    return replace(an_entry(number), response=Response(200, "OK", (), Body(b"x" * size)))


def coded(number: int, content: bytes) -> Entry:
    fields = (("Content-Encoding", "gzip"), ("Content-Type", "application/json"))
    return replace(an_entry(number), response=Response(200, "OK", fields, Body(gzip.compress(content, mtime=0))))


async def test_large_coded_and_small_entries_keep_their_order(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    made = a_recorder(path)
    for number in range(0, MAX_QUEUED * 3, 3):
        for entry in (sized(number, MAX_INLINE + 1), coded(number + 1, b"{}"), an_entry(number + 2)):
            write(made, entry)
    made.close()
    assert [entry.id for entry in open_capture(path)] == [str(number) for number in range(MAX_QUEUED * 3)]


async def test_only_new_requests_wait_for_the_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, may_go_on = tmp_path / "a.har", threading.Event()
    made = a_recorder(path)
    put = made._put

    def put_later(*given: Any) -> None:
        assert may_go_on.wait(100)
        put(*given)

    monkeypatch.setattr(made, "_put", put_later)
    for number in range(2 * MAX_QUEUED):
        write(made, coded(number, b"{}"))
    assert made.is_full
    waiting = asyncio.ensure_future(made.has_room())
    await asyncio.sleep(0)
    assert not waiting.done()
    may_go_on.set()
    await asyncio.wait_for(waiting, 100)
    made.close()
    assert [entry.id for entry in open_capture(path)] == [str(number) for number in range(2 * MAX_QUEUED)]


async def test_what_is_written_is_decoded_and_has_no_secrets(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    made = a_recorder(path)
    write(made, coded(1, b'{"password": "hunter2-Q9xZ"}'))
    made.close()
    capture = open_capture(path)
    (entry,) = capture
    assert entry.response.body.content == b'{"password": "%s"}' % KEY.of("hunter2-Q9xZ").encode()
    assert capture.key_id == KEY.key_id


async def test_a_body_that_unpacks_to_more_than_is_kept_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    made = a_recorder(path, max_body=1000)
    write(made, coded(1, b"x" * 2000))
    made.close()
    (entry,) = open_capture(path)
    assert (entry.response.body.content, entry.response.body.dropped > 0) == (b"", True)


async def test_frames_have_the_times_at_which_they_came(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    frames = [b"data: one\n\n", b"data: two\n\n"]
    response = Response(200, "OK", (("Content-Type", "text/event-stream"),), Body(b"".join(frames)))
    made = a_recorder(path)
    write(made, Entry(Request("GET", "http://a.test/"), response, Times(1.0)), {"response": [(11, 5.0), (22, 7.5)]})
    made.close()
    (entry,) = open_capture(path)
    assert entry.response.body.frame_times == (5.0, 7.5)


async def test_it_goes_on_with_a_capture_and_leaves_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    for number in range(2):
        made = a_recorder(path)
        write(made, an_entry(number))
        made.close()
    assert len(list(open_capture(path))) == 2
    (tmp_path / "theirs.har").write_text("{}")
    with pytest.raises(CaptureError, match="not written by this program"):
        a_recorder(tmp_path / "theirs.har")


async def test_a_few_small_entries_are_written_soon(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    made = a_recorder(path)
    for number in range(MAX_GATHERED + 1):
        write(made, an_entry(number))
    await asyncio.to_thread(
        wait_until, lambda: path.read_bytes().count(b"startedDateTime") > MAX_GATHERED, 100, "all entries"
    )
    made.close()
    assert [entry.id for entry in open_capture(path)] == [str(number) for number in range(MAX_GATHERED + 1)]


async def test_an_entry_that_cannot_be_redacted_takes_no_other_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.har"
    made = a_recorder(path)
    redact = Redactor.entry

    def fail(redactor: Redactor, entry: Entry) -> Entry:
        if entry.id == "1":
            raise RecursionError
        return redact(redactor, entry)

    monkeypatch.setattr(Redactor, "entry", fail)
    for number in range(3):
        write(made, an_entry(number))
    with pytest.raises(RecursionError):
        made.close()
    assert [entry.id for entry in open_capture(path)] == ["0", "2"]


async def test_an_entry_that_repeats_is_written_without_being_made(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    made: list[int] = []
    recorder = a_recorder(path)

    def make(number: int) -> Recorded:
        made.append(number)
        return replace(coded(0, b"{}"), id=str(number), connection_info={"client": {}}), {}

    for number in range(4 * MAX_GATHERED):
        found = Repeatable(("same",), f"http://shop.test/{number}", Times(1.0), str(number))
        recorder.write(partial(make, number), 0, lambda found=found: found)  # type: ignore[misc]
        await recorder.has_room()
        recorder._write_gathered()
        while recorder._queued:
            await asyncio.sleep(0)
            recorder._forget_written()
    recorder.close()
    written = list(open_capture(path))
    assert [entry.id for entry in written] == [str(number) for number in range(4 * MAX_GATHERED)]
    assert {entry.response.body.content for entry in written} == {b"{}"}
    assert made == [0, 1]
