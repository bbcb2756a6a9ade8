"""A recording is sent again: in its order, and several at a time only where nothing depends on what is under way."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.check.correlate import Correlator, find_links
from proxy_policies.capture.check.results import SendResult
from proxy_policies.capture.check.secret_values import SecretValues
from proxy_policies.capture.check.sender import Sender, SendOptions, skip_reason
from proxy_policies.capture.check.targets import CheckTarget
from proxy_policies.capture.har import writer
from proxy_policies.capture.har.entry_index import EntryIndex
from proxy_policies.capture.har.reader import open_capture
from proxy_policies.capture.model import Body, Entry, Request, Response, Times, WebSocketMessage
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import Redactor, parse_rules

JSON = (("Content-Type", "application/json"),)
KEY = Placeholders(b"k" * 32)
ONE_AT_A_TIME = SendOptions()
TARGETS = {"http://shop.test": CheckTarget("http://shop.test", "http://127.0.0.1:9")}


def an_entry(method: str, path: str, answer: str = "{}", when: float = 1.0) -> Entry:
    request = Request(method, f"http://shop.test{path}", (("Host", "shop.test"),))
    return Entry(request, Response(200, "OK", JSON, Body(answer.encode())), Times(when))


@dataclass
class Proxy:
    """Answers each request after a few turns of the loop, and notes when each began and ended."""

    answer: Callable[[str], str] = lambda _: "{}"
    seen: list[tuple[str, str]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line = head.split(b" HTTP/")[0].decode().replace("http://127.0.0.1:9", "")
                self.seen.append(("begin", line))
                for _ in range(20):
                    await asyncio.sleep(0)
                body = self.answer(line).encode()
                self.seen.append(("end", line))
                fields = b"Content-Type: application/json\r\nContent-Length: %d" % len(body)
                writer.write(b"HTTP/1.1 200 OK\r\n%s\r\n\r\n%s" % (fields, body))
        except asyncio.IncompleteReadError:
            writer.close()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        async with await asyncio.start_server(self.serve, "127.0.0.1", 0) as server:
            yield server.sockets[0].getsockname()[1]


class Run:
    """A recording in a file, and what came of sending it."""

    def __init__(self, folder: Path, entries: Sequence[Entry], proxy: Proxy, **secrets: str) -> None:
        path = folder / "a.har"
        writer.rewrite(path, writer.new_log(KEY.key_id), entries)
        self.entries, self.proxy = EntryIndex(open_capture(path)), proxy
        self.order = self.entries.by_time()
        correlator = Correlator(find_links(self.order, self.entries, KEY.of))
        redactor = Redactor(parse_rules(()), KEY)
        self.sender = Sender(self.entries, TARGETS, correlator, SecretValues(secrets, KEY), redactor)
        self.results: dict[int, SendResult] = {}

    async def send(self, options: SendOptions = ONE_AT_A_TIME, done: Callable[..., None] | None = None) -> None:
        async with self.proxy.listening() as port:
            await self.sender.run(port, self.order, options, done or self.results.__setitem__)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sender")


@given(st.lists(st.sampled_from(["GET", "HEAD", "POST", "DELETE"]), max_size=8), st.integers(1, 4))
def test_what_is_not_safe_is_sent_alone_and_all_is_sent_once(folder: Path, methods: list[str], jobs: int) -> None:
    entries = [an_entry(method, f"/{number}") for number, method in enumerate(methods)]
    run = Run(folder, entries, Proxy(lambda line: "" if line.startswith("HEAD") else "{}"))
    asyncio.run(run.send(SendOptions(jobs=jobs)))
    lines = [f"{method} /{number}" for number, method in enumerate(methods)]
    seen = run.proxy.seen
    begun = [line for what, line in seen if what == "begin"]
    assert sorted(begun) == sorted(lines)
    for number, line in enumerate(lines):
        at = seen.index(("begin", line))
        if not line.startswith(("GET", "HEAD")):
            assert seen[at + 1] == ("end", line)
            assert set(begun[:number]) == set(lines[:number]), "what came before it was sent before it"
        under_way = sum(1 if what == "begin" else -1 for what, _ in seen[: at + 1])
        assert under_way <= jobs
    assert [run.results[number].error for number in range(len(lines))] == [""] * len(lines)


async def test_what_was_handed_out_is_awaited_and_handed_back(folder: Path) -> None:
    entries = [an_entry("GET", "/new", '{"id": "abc12def"}'), an_entry("GET", "/a"), an_entry("GET", "/item/abc12def")]
    proxy = Proxy(lambda line: '{"id": "live-id"}' if line == "GET /new" else "{}")
    await Run(folder, entries, proxy).send(SendOptions(jobs=3))
    assert proxy.seen.index(("end", "GET /new")) < proxy.seen.index(("begin", "GET /item/live-id"))


async def test_real_values_are_sent_and_placeholders_kept(folder: Path) -> None:
    secret, holder = "hunter2-Q9xZ", KEY.of("hunter2-Q9xZ")
    run = Run(folder, [an_entry("GET", f"/?token={holder}")], Proxy(lambda _: f'{{"echo": "{secret}"}}'), a=secret)
    await run.send()
    assert run.proxy.seen[0] == ("begin", f"GET /?token={secret}")
    assert run.results[0].response is not None
    assert run.results[0].response.body.content == b'{"echo": "%s"}' % holder.encode()
    assert run.results[0].secrets == ((holder, holder),)


async def test_nothing_is_left_running_when_a_result_cannot_be_kept(folder: Path) -> None:
    def full(_: int, __: SendResult) -> None:
        raise OSError("the disk is full")

    before = asyncio.all_tasks()
    run = Run(folder, [an_entry("GET", f"/{number}") for number in range(5)], Proxy())
    with pytest.raises(OSError, match="the disk is full"):
        await run.send(SendOptions(jobs=2), full)
    for _ in range(10):
        await asyncio.sleep(0)
    assert [task for task in asyncio.all_tasks() - before if "Sender" in str(task.get_coro())] == []


async def test_without_a_server_each_entry_has_an_error(folder: Path) -> None:
    run = Run(folder, [an_entry("POST", "/a"), an_entry("GET", "/b")], Proxy())
    async with run.proxy.listening() as port:
        pass
    await run.sender.run(port, run.order, SendOptions(timeout=5), run.results.__setitem__)
    assert [bool(run.results[number].error) for number in (0, 1)] == [True, True]


ENTRY = an_entry("GET", "/")
CUT = Body(b"half", cut="server")
SKIPPED = {
    "no answer": (replace(ENTRY, response=Response(0)), "no response was recorded"),
    "handshake": (replace(ENTRY, response=Response(101, "", (("Upgrade", "websocket"),))), ""),
    "request body missing": (
        replace(ENTRY, request=replace(ENTRY.request, body=Body(dropped=9))),
        "request body was not recorded",
    ),
    "response body missing": (
        replace(ENTRY, response=Response(200, body=Body(dropped=9))),
        "response body was not recorded",
    ),
    "cut": (replace(ENTRY, response=Response(200, body=CUT)), "broken off by the server"),
    "cut stream": (replace(ENTRY, response=Response(200, "", (("Content-Type", "text/event-stream"),), CUT)), ""),
    "cut request": (replace(ENTRY, request=replace(ENTRY.request, body=CUT)), "its request was broken off"),
    "message missing": (
        replace(ENTRY, messages=(WebSocketMessage(False, False, b"", 1.0, dropped=9),)),
        "messages were recorded",
    ),
    "whole": (ENTRY, ""),
}


@pytest.mark.parametrize(("entry", "why"), SKIPPED.values(), ids=SKIPPED)
def test_an_entry_that_cannot_be_sent_says_why(entry: Entry, why: str) -> None:
    assert (why in skip_reason(entry)) if why else not skip_reason(entry)


async def test_what_is_skipped_is_not_sent(folder: Path) -> None:
    other = replace(ENTRY, request=Request("GET", "http://other.test/"))
    run = Run(folder, [other, replace(ENTRY, response=Response(0))], Proxy())
    await run.send()
    assert [run.results[number].skipped for number in (0, 1)] == [
        "no --target for http://other.test",
        "no response was recorded",
    ]
    assert run.proxy.seen == []


def test_the_order_is_that_in_which_requests_began(folder: Path) -> None:
    run = Run(folder, [an_entry("GET", f"/{when}", when=when) for when in (3.0, 1.0, 2.0)], Proxy())
    assert list(run.order) == [1, 2, 0]
