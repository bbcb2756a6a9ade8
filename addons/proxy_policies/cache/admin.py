"""Inspecting and purging the store: the commands, and the PURGE method."""

import asyncio
import hmac
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from mitmproxy import http

from proxy_policies import trace
from proxy_policies.background.tasks import spawn
from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.key import origin_url_of, url_of, without_query
from proxy_policies.cache.rfc9111.selectors import Selector, selectors_of, tags_of
from proxy_policies.cache.rules import NO_EFFECTS
from proxy_policies.cache.status import CacheStatus
from proxy_policies.cache.stores.store import Store
from proxy_policies.cache.transactions import CacheEngine, key_of_flow, target_of
from proxy_policies.control.command_results import LinesResult
from proxy_policies.fields import Fields
from proxy_policies.log_lines import quantity

logger = logging.getLogger(__name__)

METHOD = "PURGE"
UNAUTHORIZED = "PURGE without the secret"
MIN_SECRET = 16
"""The fewest characters of the secret for PURGE."""
OFF = "off"


def parse_purge(text: str) -> str:
    """Parse `cache_purge`: `off`, or the secret that clients must send. Raise ValueError."""
    if text == OFF:
        return ""
    if len(text) < MIN_SECRET or not text.isascii() or " " in text:
        raise ValueError(f"choose off, or a secret of at least {MIN_SECRET} characters without spaces")
    return text


def is_purge(flow: http.HTTPFlow) -> bool:
    """Return whether a request is an unanswered PURGE, which we must answer if `cache_purge` is set.

    In lower case, too: otherwise an origin that ignores case would purge without a secret.
    """
    return flow.request.method.upper() == METHOD and not (flow.response or flow.error)


def is_authorized(authorization: Sequence[bytes], secret: str) -> bool:
    """Return whether the received Authorization lines are a single one with the secret."""
    scheme, _, given = authorization[0].partition(b" ") if len(authorization) == 1 else (b"", b"", b"")
    return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(b" "), secret.encode())


async def answer_purge(engine: CacheEngine | None, flow: http.HTTPFlow, secret: str) -> None:
    """Answer a PURGE in every case: it is never forwarded, and failures are answered with 401 or 500.

    `Authorization: Bearer SECRET`; with `Soft-Purge: 1`, entries become stale instead of being removed.
    """
    flow.response = _refusal()
    try:
        lines = [value for name, value in flow.request.headers.fields if name.lower() == b"authorization"]
        if is_authorized(lines, secret):
            flow.response = http.Response.make(500, b"")
            flow.response = await _purged(engine, flow)
        else:
            trace.note(flow, "cache", "refused", UNAUTHORIZED)
    except Exception:
        logger.exception("cache: cannot purge")


def _refusal() -> http.Response:
    challenge = {"WWW-Authenticate": 'Bearer realm="cache"', "Cache-Status": str(CacheStatus(detail=UNAUTHORIZED))}
    return http.Response.make(401, b"", challenge)


async def _purged(engine: CacheEngine | None, flow: http.HTTPFlow) -> http.Response:
    """Purge a URL, or the tags in Cache-Tag or Surrogate-Key, and return the response."""
    headers = flow.request.headers
    tags = tags_of(Fields(headers.fields))
    meant = [Selector("tag", tag) for tag in tags] or [Selector("url", url) for url in _urls(engine, flow)]
    soft = headers.get("soft-purge", "") == "1"
    count = sum([await engine.store.purge(selector, soft) for selector in meant]) if engine else 0
    fields = {"Content-Type": "text/plain", "Cache-Status": str(CacheStatus(detail=f"purged {count}"))}
    trace.note(flow, "cache", "purged", ", ".join(selector.value for selector in meant), count=count)
    return http.Response.make(200, f"purged {count}\n".encode(), fields)


def _urls(engine: CacheEngine | None, flow: http.HTTPFlow) -> Sequence[str]:
    """Return the requested URL, unchanged and as changed in keys by the rules."""
    ignored = [glob for rule in engine.rules for glob in rule.apply(NO_EFFECTS).ignore_query] if engine else []
    url = url_of(key_of_flow(flow, target_of(flow)))
    return list(dict.fromkeys((url, without_query(url, ignored))))


# The commands


def run_command(work: Coroutine[Any, Any, list[str]]) -> Sequence[str]:
    """Run a command; if it does not finish at once, its result is logged later."""
    task = spawn(work, eager=True)
    if task.done():
        return task.result()
    return UnderWay(task)


class UnderWay(list[str]):
    """The reply of a command whose result is logged later, unless the caller waits for it."""

    def __init__(self, task: asyncio.Task[list[str]]) -> None:
        super().__init__(["under way; the result is logged"])
        self._task = task
        task.add_done_callback(_report)

    async def awaited_result(self) -> list[str]:
        """Return the result, which is not logged: it may list everything that is stored."""
        self._task.remove_done_callback(_report)
        return await self._task


def _report(task: asyncio.Task[list[str]]) -> None:
    if task.cancelled():
        return
    error = task.exception()
    for line in [f"failed: {error}"] if error else task.result():
        logger.info(f"cache: {line}")


async def close(store: Store) -> list[str]:
    """Close a store that is being replaced."""
    await store.close()
    return []


async def stats(store: Store) -> LinesResult:
    """Return how full the store is."""
    counts = await store.counts()
    room = "bytes, without a limit"  # as in Redis by default
    if counts.limit:
        room = f"of {counts.limit} bytes ({100 * counts.bytes / counts.limit:.1f} %)"
    line = f"{quantity(counts.entries, 'response')}, {counts.bytes} {room}"
    return LinesResult([line], {"responses": counts.entries, "bytes": counts.bytes, "limit": counts.limit})


async def list_entries(store: Store, wanted: str, now: float) -> LinesResult:
    """List the entries whose URL contains a text, or that it selects as in `purge`."""
    selects = _selection(wanted)
    found = [
        entry
        for entry in await store.entries()
        if wanted in entry.key or wanted in origin_url_of(entry.key) or selects(entry)
    ]
    found.sort(key=lambda entry: entry.key)
    data = [described(entry, now) for entry in found]
    return LinesResult(map(line_of, data), data)


def _selection(text: str) -> Callable[[StoredResponse], bool]:
    """Return whether an entry is stored under a key, or selected by what `purge` takes."""
    try:
        selectors = selectors_of(text)
    except ValueError:
        selectors = ()
    return lambda entry: entry.key == text or any(one.matches(entry.key, entry.tags) for one in selectors)


def described(entry: StoredResponse, now: float) -> dict[str, Any]:
    """Return what describes a stored response; `fresh_seconds` is negative for a stale one."""
    return {
        "key": entry.key,
        "url": url_of(entry.key),
        "status": entry.status,
        "bytes": entry.size,
        "range": entry.span.content_range if entry.span else None,
        "fresh_seconds": round(entry.ttl(now), 1),
    }


def line_of(data: Mapping[str, Any]) -> str:
    """Return the description as one line."""
    seconds = data["fresh_seconds"]
    state = f"fresh for {seconds:.0f} s" if seconds > 0 else f"stale for {-seconds:.0f} s"
    span = f", {data['range']}" if data["range"] else ""
    return f"{data['key']}  {data['status']}, {quantity(data['bytes'], 'byte')}{span}, {state}"


async def show_entry(store: Store, key: str, now: float) -> LinesResult:
    """Show all entries under a key, or that it selects as in `purge`."""
    found = list(filter(_selection(key), await store.entries()))
    lines, data = [], []
    for entry in found:
        about = described(entry, now)
        data += [
            {
                **about,
                "selected_by": dict(entry.vary_key),
                "tags": sorted(entry.tags),
                "fields": [list(line) for line in entry.fields],
            }
        ]
        lines += [line_of(about)]
        lines += [f"  selected by {name}: {value}" for name, value in entry.vary_key]
        lines += [f"  tagged {tag}" for tag in sorted(entry.tags)]
        lines += [f"  {name}: {value}" for name, value in entry.fields]
    error = "" if found else f"nothing is stored under {key}"
    return LinesResult(lines or [error], data, error)


async def purge(store: Store, what: str, soft: bool) -> LinesResult:
    """Purge a URL, a glob of URLs, or a tag. Raise ValueError for anything else."""
    selectors = selectors_of(what)
    count = sum([await store.purge(selector, soft) for selector in selectors])
    name = "made stale" if soft else "purged"
    is_missing = not count and selectors[0].kind == "url"  # a glob or a tag may select nothing
    error = f"nothing is stored under {what}" if is_missing else ""
    return LinesResult([f"{name}: {count}"], {name.replace(" ", "_"): count}, error)
