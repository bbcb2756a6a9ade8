"""What replay counts as missed while it looks for the nearest recording, without a proxy."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mitmproxy import flow, http
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.test import taddons, tflow

from proxy_policies.capture.har import writer
from proxy_policies.capture.model import Entry, Request, Response, Times
from proxy_policies.capture.replay.addon import Replay
from proxy_policies.capture.replay.cassette import Cassette, NoMatch
from proxy_policies.capture.replay.matching import RequestKey
from proxy_policies.flows.flow_state import FlowStateAddon
from proxy_policies.settings import Settings

URL = "http://shop.test/orders"


class Searches:
    """Searches for the nearest recording, which last until they are told to end."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()

    async def explain(self, _: RequestKey, unmatched: NoMatch) -> NoMatch:
        """Return NoMatch without the nearest recording."""
        await self.may_end.wait()
        return unmatched


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> Searches:
    found = Searches()
    monkeypatch.setattr(Cassette, "explain", lambda _, key, unmatched: found.explain(key, unmatched))
    return found


@asynccontextmanager
async def replaying(folder: Path) -> AsyncIterator[Replay]:
    policy = Replay()
    path = folder / "shop.har"
    with writer.create(path, writer.new_log()) as capture:
        capture.write(Entry(Request("GET", "http://shop.test/"), Response(200), Times(1.0)))
    with taddons.context(Proxyserver(), Settings([policy]), policy) as context:
        context.options.update(confdir=str(folder), replay_file=str(path), replay_report=str(folder / "report.json"))
        yield policy
        policy.done()


def misses(folder: Path) -> list[str]:
    """Return the URLs in the report that no recording answered."""
    return [miss["url"] for miss in json.loads((folder / "report.json").read_text())["misses"]]


async def send(policy: Replay, exchange: http.HTTPFlow) -> "asyncio.Task[None]":
    """Return the request's hook, running."""
    for addon in (FlowStateAddon(), policy):
        addon.requestheaders(exchange)
    answer = policy.request(exchange)
    assert answer is not None
    task = asyncio.ensure_future(answer)
    await asyncio.sleep(0)
    return task


def exchange() -> http.HTTPFlow:
    return tflow.tflow(req=http.Request.make("GET", URL))


async def test_a_request_is_missed_at_once(tmp_path: Path, searches: Searches) -> None:
    async with replaying(tmp_path) as policy:
        search = await send(policy, exchange())
        policy.done()
        assert misses(tmp_path) == ["GET http://shop.test:80/orders"]
        search.cancel()


async def test_a_miss_is_of_the_session_in_which_it_was_sent(tmp_path: Path, searches: Searches) -> None:
    async with replaying(tmp_path) as policy:
        search = await send(policy, exchange())
        policy.configure({"replay_file"})
        searches.may_end.set()
        await search
        assert misses(tmp_path) == ["GET http://shop.test:80/orders"]
    assert misses(tmp_path) == []


async def test_a_client_that_leaves_meanwhile_has_one_miss(tmp_path: Path, searches: Searches) -> None:
    async with replaying(tmp_path) as policy:
        sent = exchange()
        search = await send(policy, sent)
        sent.error = flow.Error("Client disconnected.")
        policy.error(sent)
        searches.may_end.set()
        await search
        assert sent.response is None
    assert misses(tmp_path) == ["GET http://shop.test:80/orders"]
