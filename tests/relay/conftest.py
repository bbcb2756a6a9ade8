"""Links, and ends of them, for one test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.relay_links import (
    JOINED_WAYS,
    WAYS,
    Link,
    MakeEnd,
    MakeLink,
    Peer,
    force,
    join_sockets,
    link_streams,
)
from tests.support.relay_peers import tcp_pair

from proxy_policies.relay.link import StreamEnd


@pytest.fixture
async def make_end() -> AsyncIterator[MakeEnd]:
    """A connection to link: our side as streams, the peer's as a socket."""
    made: list[tuple[StreamEnd, Peer]] = []

    async def make() -> tuple[StreamEnd, Peer]:
        near, far = tcp_pair()
        reader, writer = await asyncio.open_connection(sock=near)
        made.append((StreamEnd(reader, writer), far))
        return made[-1]

    yield make
    for end, far in made:
        far.close()
        end.writer.transport.abort()
    await asyncio.sleep(0)  # the transports close in the loop's next round


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    force(request.param, monkeypatch)
    return str(request.param)


LINKS = {way: (link_streams, way) for way in WAYS} | {f"joined, {way}": (join_sockets, way) for way in JOINED_WAYS}


@pytest.fixture(params=LINKS)
async def make_link(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeLink]:
    """Link two peers, whichever way."""
    make_one, way = LINKS[request.param]
    force(way, monkeypatch)
    made: list[Link] = []

    async def make(idle: float = 20) -> Link:
        made.append(await make_one(idle))
        return made[-1]

    yield make
    for linked in made:
        linked.running.cancel()
        await asyncio.gather(linked.running, return_exceptions=True)
        linked.client.close()
        linked.server.close()
        await linked.let_go()
