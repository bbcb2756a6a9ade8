"""The addon's options and commands, without a proxy."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mitmproxy import exceptions, http
from mitmproxy.addons.serverplayback import ServerPlayback
from mitmproxy.test import taddons, tflow

from proxy_policies.cache import addon
from proxy_policies.cache.addon import Cache
from proxy_policies.cache.stores.memory import MemoryStore
from proxy_policies.flows.flow_state import FlowStateAddon
from proxy_policies.settings import Settings
from tests.support.cache_cases import stored
from tests.support.cache_stores import keep
from tests.support.waiting import eventually

KEY = "http://example.test/"


@pytest.fixture
async def cache() -> AsyncIterator[tuple[Cache, taddons.context]]:
    policy = Cache()
    with taddons.context(ServerPlayback(), Settings([policy]), policy) as context:
        context.options.update(cache_size="64m")
        yield policy, context
    await policy.done()


async def filled(policy: Cache) -> None:
    assert policy.engine is not None
    entry = stored("Cache-Control: max-age=60", "Vary: Foo", "X-A: b", request=("Foo: 1",))
    await keep(policy.engine.store, entry.replace(tags=frozenset({"t"})), b"body")


async def test_the_commands(cache: tuple[Cache, taddons.context]) -> None:
    policy, context = cache
    await filled(policy)
    call = context.master.commands.call_strings
    assert call("cache.stats", [])[0].startswith("1 response, ")
    assert call("cache.list", []) == call("cache.list", ["*example*"]) == call("cache.list", ["example"])
    assert call("cache.list", ["other"]) == []
    assert call("cache.list", [])[0].startswith(f"{KEY}  200, 4 bytes, ")
    assert {"  selected by foo: =1", "  tagged t", "  X-A: b"} <= set(call("cache.show", [KEY]))
    assert call("cache.show", ["x"]) == ["nothing is stored under x"]
    assert call("cache.purge.soft", [KEY]) == ["made stale: 1"]
    assert call("cache.purge", ["tag:t"]) == ["purged: 1"]
    with pytest.raises(exceptions.CommandError, match="is not a URL"):
        call("cache.purge", ["nonsense"])


async def test_what_is_stored_is_not_relied_on_once_the_clock_was_put_back(
    cache: tuple[Cache, taddons.context], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, _ = cache
    monkeypatch.setattr(addon, "CLOCK_LOOKED_AT_EVERY", 0.001)
    await filled(policy)
    assert policy.engine is not None
    store = policy.engine.store
    assert isinstance(store, MemoryStore)
    policy.running()
    await asyncio.sleep(0.1)
    assert [entry.freshness.lifetime for entry in await store.entries()] == [60.0]
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 3600)
    await eventually(lambda: [entry.freshness.lifetime for entry in store.get_all(KEY)] == [0.0])


async def test_off_and_on_again(cache: tuple[Cache, taddons.context], tmp_path: Path) -> None:
    policy, context = cache
    await filled(policy)
    before = policy.engine
    context.configure(policy, cache_max_object="1m", cache_strict=True)
    assert policy.engine is before
    assert before is not None
    assert (before.max_object, before.strict) == (1 << 20, True)
    context.options.update(cache="off")
    with pytest.raises(exceptions.CommandError, match="the cache is off"):
        context.master.commands.call_strings("cache.stats", [])
    context.options.update(cache="memory")
    after = policy.engine
    assert after is not None and after is not before  # noqa: PT018 -- mypy takes the second for granted otherwise
    assert isinstance(after.store, MemoryStore)
    await policy.done()


@pytest.mark.parametrize("wrong", [{"cache": "dsk:/x"}, {"cache_size": "big"}, {"cache_purge": "x"}])
async def test_a_wrong_value_changes_nothing(wrong: dict[str, str], cache: tuple[Cache, taddons.context]) -> None:
    policy, context = cache
    before = policy.engine
    with pytest.raises(exceptions.OptionsError):
        context.options.update(**wrong)
    assert policy.engine is before


async def test_a_folder_that_cannot_be_used_is_refused(cache: tuple[Cache, taddons.context], tmp_path: Path) -> None:
    policy, context = cache
    (tmp_path / "file").write_text("")
    before = policy.engine
    with pytest.raises(exceptions.OptionsError, match="file"):
        context.options.update(cache=f"disk:{tmp_path / 'file'}")
    assert policy.engine is before


async def test_what_goes_wrong_in_a_hook_is_logged_and_the_flow_goes_on(
    cache: tuple[Cache, taddons.context], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    policy, _ = cache
    flow = tflow.tflow()
    monkeypatch.setattr("proxy_policies.cache.request_phase.decide", broken)
    await policy.request(flow)
    assert flow.response is None
    assert "continues without the cache" in caplog.text


MOVES: dict[str, dict[str, object]] = {
    "not": {},
    "path": {"path": "/other"},
    "host": {"host": "other.example"},
    "port": {"port": 8080},
    "scheme": {"scheme": "https"},
    "host-field": {"host_header": "other.example"},
    "authority": {"http_version": "HTTP/2.0", "authority": "other.example"},
    "credentials": {"headers": http.Headers(host="address:22", authorization="b")},
    "a-cookie": {"headers": http.Headers(host="address:22", cookie="b")},
    "another-field": {"headers": http.Headers(host="address:22", x_a="b")},
}


@pytest.mark.parametrize("move", MOVES)
async def test_an_answer_from_elsewhere_is_not_stored(cache: tuple[Cache, taddons.context], move: str) -> None:
    """Another addon, after us, may send a request to where its key does not lead."""
    policy, _ = cache
    flow = tflow.tflow()
    flow.request.headers["Host"], flow.request.raw_content = "address:22", b""
    await policy.request(flow)
    for attribute, value in MOVES[move].items():
        setattr(flow.request, attribute, value)
    flow.response = http.Response.make(200, headers={"Cache-Control": "max-age=60"})
    flow.response.raw_content = flow.response.timestamp_end = None
    FlowStateAddon().responseheaders(flow)
    await policy.responseheaders(flow)
    is_same = move in ("not", "another-field", "a-cookie")
    assert flow.response.headers["Cache-Status"].endswith("; stored") is is_same
    is_elsewhere = "it was sent elsewhere" in flow.response.headers["Cache-Status"]
    assert is_elsewhere is (not is_same and move != "credentials")
