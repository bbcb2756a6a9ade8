"""All stores behave the same under the same operations."""

import asyncio
import tempfile
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from proxy_policies.cache.rfc9111.entry import Span, StoredResponse
from proxy_policies.cache.rfc9111.selectors import parse_selector
from proxy_policies.cache.stores.disk.store import DiskStore
from proxy_policies.cache.stores.memory import MemoryStore
from proxy_policies.cache.stores.redis.store import RedisStore
from proxy_policies.cache.stores.store import Checkpoint, Store
from tests.support.cache_cases import stored
from tests.support.cache_stores import LIMIT, REDIS, checkpoint, content, keep, redis_server

KEYS = ["http://x.test/a", "http://x.test/b", "http://y.test/a via z", "http://x.test/a own=1"]
keys = st.sampled_from(KEYS)
variants, spans = st.sampled_from("12"), st.none() | st.integers(0, 3)
agos = st.integers(1, 3)
bodies = st.binary(max_size=2000)


@pytest.fixture(scope="module", autouse=True)
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have the machine use a Redis server, where there is one."""
    if REDIS is None:
        yield
        return
    with redis_server(tmp_path_factory.mktemp("redis")) as Alike.redis_port:
        yield


class Alike(RuleBasedStateMachine):
    """Does everything to all, and compares what is there afterwards."""

    redis_port = 0

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        self.stores: list[Store] = [MemoryStore(LIMIT), DiskStore(Path(self.folder.name), LIMIT)]
        if self.redis_port:
            redis = RedisStore(f"redis://127.0.0.1:{self.redis_port}/0")
            self.run(redis._redis.flushall())
            self.stores.append(redis)
        self.number = 0
        self.checkpoints: list[list[Checkpoint]] = []
        self.tick()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def tick(self) -> None:
        self.checkpoints.append([self.run(checkpoint(store)) for store in self.stores])

    @rule(key=keys, body=bodies, variant=variants, span=spans, tag=st.booleans(), ago=agos)
    def store(self, key: str, body: bytes, variant: str, span: int | None, tag: bool, ago: int) -> None:
        self.number += 1
        entry = stored("Cache-Control: max-age=60", key=key, id=str(self.number)).replace(
            vary_key=(("foo", variant),),
            span=None if span is None else Span(span, span + len(body), 5000),
            tags=frozenset({"t"} if tag else ()),
        )
        for store, since in zip(self.stores, self.checkpoints[-ago:][0], strict=True):
            self.run(keep(store, entry, body, since=since))
        self.compare()

    @rule(key=keys, body=bodies, coding=st.sampled_from(["gzip", "br"]))
    def encode(self, key: str, body: bytes, coding: str) -> None:
        for entry in self.found(0, key)[:1]:
            for store in self.stores:
                self.run(keep(store, entry, body, coding=coding))
        self.compare()

    @rule(key=keys, reason=st.text(max_size=5), tag=st.booleans(), ago=agos)
    def update(self, key: str, reason: str, tag: bool, ago: int) -> None:
        for entry in self.found(0, key)[:1]:
            new = entry.replace(reason=reason, tags=frozenset({"t"} if tag else ()))
            for store, since in zip(self.stores, self.checkpoints[-ago:][0], strict=True):
                self.run(store.update(entry, new, since))
        self.compare()

    @rule(key=keys)
    def remove(self, key: str) -> None:
        for entry in self.found(0, key)[:1]:
            for store in self.stores:
                self.run(store.remove(entry))
        self.compare()

    @rule(what=st.sampled_from([*KEYS[:2], "http://y.test/a", "*x.test*", "tag:t"]), soft=st.booleans())
    def purge(self, what: str, soft: bool) -> None:
        counts = [self.run(store.purge(parse_selector(what), soft)) for store in self.stores]
        self.tick()
        assert counts == counts[:1] * len(self.stores)
        self.compare()

    def found(self, which: int, key: str) -> list[StoredResponse]:
        return sorted(self.run(self.stores[which].lookup(key)), key=lambda entry: int(entry.id))

    def compare(self) -> None:
        for key in KEYS:
            one, *others = (self.found(which, key) for which in range(len(self.stores)))
            assert all(other == one for other in others)
            for entry in one:
                for coding in ("", "gzip", "br"):
                    bodies = [self.run(content(store, entry, coding)) for store in self.stores]
                    assert bodies == bodies[:1] * len(self.stores)

    def teardown(self) -> None:
        for store in self.stores:
            self.run(store.close())
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()
        self.folder.cleanup()


TestAlike = Alike.TestCase
TestAlike.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
