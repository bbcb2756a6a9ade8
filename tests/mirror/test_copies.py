"""Copies are bounded and compared, and delay no client."""

import asyncio
import json

from tests.support.waiting import eventually

from proxy_policies.capture.check.http_client import SendError
from proxy_policies.capture.check.noise import NoiseRules, parse_rules
from proxy_policies.capture.check.outcome import CompareOptions
from proxy_policies.capture.model import Body, Entry, Request, Response, Times
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import Redactor
from proxy_policies.capture.secrets.redact import parse_rules as parse_redaction
from proxy_policies.mirror.copies import IN_FLIGHT, QUEUED, Copies, Send
from proxy_policies.mirror.reporting import text

JSON = (("Content-Type", "application/json"),)


def entry(path: str, document: object = None, **headers: str) -> Entry:
    request = Request("GET", f"http://shop.test{path}", tuple(headers.items()))
    return Entry(request, Response(200, "OK", JSON, Body(json.dumps(document).encode())), Times(1, 1, 1, 2))


def copies(send: Send, noise: str = "", with_credentials: bool = False) -> Copies:
    redactor = Redactor(parse_redaction(()), Placeholders(b"k" * 32))
    rules = CompareOptions(NoiseRules(parse_rules(noise)))
    return Copies("http://127.0.0.1:1", send, redactor, rules, 1 << 20, with_credentials, lambda: None)


async def finish(made: Copies, count: int) -> None:
    await eventually(lambda: sum(made.counts[name] for name in ("same", "changed", "error")) >= count)


async def test_what_differs_is_found_but_for_noise() -> None:
    seen: list[Request] = []

    async def send(request: Request) -> tuple[Response, float]:
        seen.append(request)
        if request.url.endswith("/down"):
            raise SendError("no answer")
        return Response(200, "OK", JSON, Body(b'{"price": 2, "node": "b"}')), 0.1

    made = copies(send, noise="GET /* json:$.node\n")
    made.offer(entry("/same", {"price": 2, "node": "a"}, Cookie="sid=Zq7hunter2"))
    made.offer(entry("/changed", {"price": 1, "node": "a"}))
    made.offer(entry("/down", {}))
    made.offer(entry("/?token=Zq7hunter2Q9xZ4711abcd", {}))
    await finish(made, 3)
    await eventually(lambda: bool(made.counts["not copied: credentials in its URL or body"]))
    assert made.counts["copied"] == 3
    assert {outcome.verdict: [change.location for change in outcome.changes] for outcome in made.outcomes} == {
        "changed": ["json:$.price"],
        "error": [],
    }
    assert all("127.0.0.1:1" in request.url for request in seen)
    assert not any(name.lower() == "cookie" for request in seen for name, _ in request.headers)
    assert made.summary() == (
        "mirror to 127.0.0.1:1: 3 copied, 1 the same, 1 changed, 1 error, 1 not copied: credentials in its URL or body"
    )
    report = json.loads(text(made, "r.json", 0, 5))
    assert report["mirror"] == {"copied": 3, "not_copied": {"credentials in its URL or body": 1}}
    assert report["counts"] == {"same": 1, "changed": 1, "error": 1, "skipped": 0}
    assert "<!doctype html>" in text(made, "r.HTML", 0, 5).lower()
    made.close()


async def test_no_more_are_under_way_or_wait_than_may() -> None:
    asked, most = asyncio.Event(), 0
    under_way = 0

    async def send(request: Request) -> tuple[Response, float]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asked.wait()
        under_way -= 1
        return Response(200, "OK", JSON, Body(b"{}")), 0.1

    made = copies(send)
    for number in range(IN_FLIGHT + QUEUED):
        made.offer(entry(f"/{number}", {}))
        await asyncio.sleep(0)
    await eventually(lambda: under_way == IN_FLIGHT)
    for number in range(QUEUED):
        made.offer(entry(f"/more/{number}", {}))
    assert made.counts["not copied: too many wait"] >= QUEUED - IN_FLIGHT
    asked.set()
    await finish(made, IN_FLIGHT + QUEUED)
    assert most == IN_FLIGHT
    made.close()


async def test_with_credentials_they_go_along_and_are_in_no_report() -> None:
    seen: list[Request] = []

    async def send(request: Request) -> tuple[Response, float]:
        seen.append(request)
        return Response(200, "OK", JSON, Body(b'{"password": "Zq7-hunter2-Q9xZ"}')), 0.1

    made = copies(send, with_credentials=True)
    made.offer(entry("/", {"password": "Zq7-hunter2-Q9xZ", "n": 1}, Authorization="Bearer Zq7-hunter2-Q9xZ"))
    await finish(made, 1)
    assert ("Authorization", "Bearer Zq7-hunter2-Q9xZ") in seen[0].headers
    assert "hunter2" not in text(made, "r.json", 0, 1) + text(made, "r.html", 0, 1)
    made.close()
