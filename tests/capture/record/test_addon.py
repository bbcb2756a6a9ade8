"""What the recorder writes when its options change, and when it cannot write, without a proxy."""

import asyncio
import resource
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mitmproxy import http
from mitmproxy.test import taddons, tflow

from proxy_policies.capture.har.reader import open_capture
from proxy_policies.capture.record.addon import Capture
from proxy_policies.flows import flow_state
from proxy_policies.flows.flow_state import FlowStateAddon
from proxy_policies.settings import Settings

HOST = "http://example.test"
LARGE = 4 << 20


class Recorder:
    """The policy, and hooks in the order in which they come."""

    def __init__(self, policy: Capture, context: taddons.context) -> None:
        self.policy, self.context = policy, context
        self._exchanges = FlowStateAddon()

    async def see(self, path: str, size: int = 10) -> http.HTTPFlow:
        """Show a whole buffered exchange; returns in the turn in which its client gets the answer."""
        flow = tflow.tflow(req=http.Request.make("GET", f"{HOST}{path}"), resp=http.Response.make())
        for addon in (self._exchanges, self.policy):
            addon.requestheaders(flow)
        for addon in (self._exchanges, self.policy):
            addon.responseheaders(flow)
        self.policy.response(flow)
        await flow_state.state_of(flow).response_body.run(b"x" * size)
        return flow


@asynccontextmanager
async def recording(path: Path) -> AsyncIterator[Recorder]:
    policy = Capture()
    with taddons.context(Settings([policy]), policy) as context:
        context.options.update(confdir=str(path.parent), capture_file=str(path))
        yield Recorder(policy, context)
        policy.done()


@pytest.fixture
def file_size_limit() -> Iterator[Callable[[int], None]]:
    """Bound the size of files; beyond it the kernel refuses to write, as it does when a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda octets: resource.setrlimit(resource.RLIMIT_FSIZE, (octets, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def sizes(path: Path) -> dict[str, int]:
    """Return the size of each answer in a capture, by path, in the order in which they were written."""
    found = list(open_capture(path))
    return {entry.request.url.removeprefix(HOST): len(entry.response.body.content) for entry in found}


@pytest.mark.parametrize("size", [10, LARGE])
async def test_what_was_answered_before_the_capture_changed_is_in_the_first(tmp_path: Path, size: int) -> None:
    first, second = tmp_path / "first.har", tmp_path / "second.har"
    async with recording(first) as recorder:
        await recorder.see("/a", size)
        recorder.context.options.update(capture_file=str(second))
        await recorder.see("/b", size)
        recorder.context.options.update(capture_file="")
        assert (sizes(first), sizes(second)) == ({"/a": size}, {"/b": size})


async def test_large_ones_that_wait_to_be_written_are_not_lost_when_the_capture_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    async with recording(path) as recorder:
        for number in range(5):
            await recorder.see(f"/{number}", LARGE if number % 2 == 0 else 10)
        await asyncio.sleep(0)
        recorder.context.options.update(capture_file="")
        assert list(sizes(path)) == [f"/{number}" for number in range(5)]


async def test_a_full_disk_ends_the_recording_after_the_last_whole_exchange(
    tmp_path: Path, file_size_limit: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.har"
    async with recording(path) as recorder:
        await recorder.see("/a")
        await asyncio.sleep(0)
        file_size_limit(1 << 20)
        for name in ("/large", "/b", "/c"):
            await recorder.see(name, LARGE if name == "/large" else 10)
            await asyncio.sleep(0)
    assert sizes(path) == {"/a": 10}
    assert [line for line in caplog.messages if "recording into" in line] == [
        f"recording into {path} stopped: File too large"
    ]
    file_size_limit(resource.RLIM_INFINITY)
    async with recording(path) as recorder:
        await recorder.see("/d")
    assert list(sizes(path)) == ["/a", "/d"]
