"""Bodies on a server: any range of a large one, an error when it is gone, and what a writer hands over."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from tests.support.cache_cases import KEY, stored
from tests.support.cache_stores import REDIS, redis_server

from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.stores.checksums import Checksums, DamagedBodyError, Trailer, verified
from proxy_policies.cache.stores.redis.bodies import PIECE, RemoteBody, RemoteBodyWriter
from proxy_policies.cache.stores.store import Checkpoint


def trailer_of(body: bytes, name: str = "body") -> bytes:
    checksums = Checksums()
    checksums.feed(body)
    return checksums.finish(name)


def remote_body(redis: Any, damaged: list[OSError] | None = None) -> RemoteBody:
    taken = damaged if damaged is not None else []
    return RemoteBody(redis, "body", len(BODY), Trailer(trailer_of(BODY), "body"), taken.append)


pytestmark = pytest.mark.skipif(REDIS is None, reason="no redis-server")
BODY = bytes(range(256)) * (2 * PIECE // 256) + b"the rest"


@pytest_asyncio.fixture
async def redis(port: int) -> AsyncIterator[Any]:
    redis: Any = Redis(port=port)
    await redis.set("body", BODY)
    yield redis
    await redis.aclose()


@pytest.mark.parametrize(
    ("start", "stop"), [(0, len(BODY)), (PIECE - 1, PIECE + 1), (len(BODY) - 3, len(BODY)), (70_000, 70_001)]
)
async def test_any_range_of_it(redis: Any, start: int, stop: int) -> None:
    pieces = [piece async for piece in remote_body(redis).chunks(start, stop)]
    assert b"".join(pieces) == BODY[start:stop]
    assert all(len(piece) <= PIECE for piece in pieces)


async def test_a_piece_that_is_not_what_was_written_is_an_error(redis: Any) -> None:
    await redis.setrange("body", PIECE + 5, b"?")
    damaged: list[OSError] = []
    chunks = remote_body(redis, damaged).chunks(0, len(BODY))
    assert await anext(chunks) == BODY[:PIECE]
    with pytest.raises(DamagedBodyError):
        await anext(chunks)
    assert len(damaged) == 1


async def test_one_that_goes_while_it_is_read_is_an_error(redis: Any) -> None:
    chunks = remote_body(redis).chunks(0, len(BODY))
    await anext(chunks)
    await redis.delete("body")
    with pytest.raises(OSError, match="was removed"):
        await anext(chunks)


async def test_a_server_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with redis_server(tmp_path) as port:
        redis: Any = Redis(port=port)
        await redis.set("body", BODY)
    with pytest.raises(OSError):
        await anext(remote_body(redis).chunks(0, len(BODY)))
    await redis.aclose()


class Commits:
    """Does commits at once."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.work: list[Callable[[], Awaitable[bool]]] = []

    def keep(self, key: str, size: int, work: Callable[[], Awaitable[bool]]) -> None:
        """Keep one until it is awaited."""
        assert key == KEY
        self.work.append(work)

    async def put(self, entry: StoredResponse, body: bytes, since: Checkpoint) -> bool:
        """Remember."""
        self.done.append((body, since))
        return True

    async def put_coded(self, entry: StoredResponse, coding: str, body: bytes) -> bool:
        """Remember."""
        self.done.append((body, coding))
        return True


@pytest.mark.parametrize(("coding", "expected"), [("", b"1-0"), ("gzip", "gzip")])
async def test_a_writer_hands_over_the_whole(coding: str, expected: Any) -> None:
    commits = Commits()
    writing = RemoteBodyWriter(commits, b"1-0", coding)
    writing.feed(b"a")
    writing.feed(b"b")
    writing.commit(stored())
    assert [await work() for work in commits.work] == [True]
    ((body, said),) = commits.done
    assert (verified(body, f"1.{coding}" if coding else "1"), said) == (b"ab", expected)
