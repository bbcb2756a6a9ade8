"""`check --accept`: what came becomes the baseline, and the next check finds nothing."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.capture_commands import capture
from tests.support.origin import Answer, Origin

from proxy_policies.capture.har import writer
from proxy_policies.capture.har.reader import open_capture
from proxy_policies.capture.model import Body, Entry, Request, Response, Times

JSON = ("Content-Type", "application/json")


@pytest.fixture
def origin() -> Iterator[Origin]:
    found = Origin()
    yield found
    found.close()


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Record three answers, of which the last two have changed since."""
    path = tmp_path / "shop.har"
    with writer.create(path, writer.new_log()) as out:
        for number, price in enumerate((1, 2, 3), 1):
            body = json.dumps({"price": price, "at": 1760000000 + number}).encode()
            request = Request("GET", f"http://shop.test/{number}", (("Host", "shop.test"),))
            out.write(Entry(request, Response(200, "OK", (JSON,), Body(body)), Times(1.7e9 + number)))
    return path


def build(origin: Origin) -> str:
    """Serve what changed: the prices, and the times as always."""
    for number, price in enumerate((1, 20, 30), 1):
        body = json.dumps({"price": price, "at": 1770000000 + number, "token": "Wz-zbpjD-jMLZkbxrVhyYQ"}).encode()
        origin.route(f"/{number}", Answer(headers=[JSON], body=body if number > 1 else b'{"price":1,"at":1770000001}'))
    return origin.url


def bodies(path: Path) -> list[dict[str, object]]:
    return [json.loads(entry.response.body.content) for entry in open_capture(path)]


def test_what_came_is_the_new_baseline(recorded: Path, origin: Origin) -> None:
    url, before = build(origin), recorded.read_bytes()
    one = capture(recorded.parent, "check", "shop.har", "--target", url, "--accept", "3", "1", "--yes")
    assert one.returncode == 1, one.stderr
    assert '-  "price": 3' in one.stdout
    assert '+  "price": 30' in one.stdout
    assert "entry 1 is left as it is: nothing in it changed" in one.stderr
    assert "accepted 1 response into shop.har" in one.stderr
    found = bodies(recorded)
    assert found[:2] == [{"price": 1, "at": 1760000001}, {"price": 2, "at": 1760000002}]
    assert (found[2]["price"], found[2]["at"]) == (30, 1760000003)
    assert "Wz-zbpjD" not in recorded.read_text()
    assert stat.S_IMODE(os.stat(recorded).st_mode) == 0o600
    rest = capture(recorded.parent, "check", "shop.har", "--target", url, "--accept", "--yes")
    assert rest.returncode == 0, rest.stderr
    again = capture(recorded.parent, "check", "shop.har", "--target", url)
    assert again.returncode == 0, again.stdout
    assert "3 the same" in again.stdout
    assert recorded.read_bytes() != before


REFUSED = {
    "needs a terminal": (("--accept",), "which needs a terminal; use --yes"),
    "no such entry": (("--accept", "4", "--yes"), "--accept 4: shop.har has 3 entries"),
    "no number": (("--accept", "all"), "'all' is not a number of 1 or more"),
}


@pytest.mark.parametrize(("arguments", "text"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_accepted_is_said_before_anything_is_sent(
    arguments: tuple[str, ...], text: str, recorded: Path, origin: Origin
) -> None:
    before = recorded.read_bytes()
    done = capture(recorded.parent, "check", "shop.har", "--target", origin.url, *arguments)
    assert done.returncode == 2
    assert text in done.stderr
    assert (origin.requests, recorded.read_bytes()) == ([], before)


def document(**price: object) -> str:
    """Return an OpenAPI document that says this of the price."""
    schema = {
        "required": ["price", "at"],
        "properties": {"price": {"type": "integer", **price}, "token": {"minLength": 9}},
    }
    answer = {"description": "a price", "content": {"application/json": {"schema": schema}}}
    number = {"name": "n", "in": "path", "required": True, "schema": {"type": "integer"}}
    paths = {"/{n}": {"parameters": [number], "get": {"responses": {"200": answer}}}}
    return json.dumps({"openapi": "3.1.0", "info": {"title": "shop", "version": "1"}, "paths": paths})


def found_in(report: Path) -> list[list[str]]:
    """Return the locations of each outcome's changes."""
    outcomes = json.loads(report.read_text())["outcomes"]
    return [[change["location"] for change in outcome["changes"]] for outcome in outcomes]


def test_what_comes_is_held_to_an_openapi_document_and_accepted_all_the_same(recorded: Path, origin: Origin) -> None:
    (recorded.parent / "api.json").write_text(document(maximum=25))
    options = ("--target", build(origin), "--openapi", "api.json", "--json", "r.json")
    recording = capture(recorded.parent, "check", "shop.har", "--openapi", "api.json")
    assert (recording.returncode, "3 the same" in recording.stdout) == (0, True), recording.stdout
    came = capture(recorded.parent, "check", "shop.har", *options)
    assert came.returncode == 1, came.stderr
    assert "openapi:$.price  maximum: 25 → 30" in came.stdout
    changed = ["json:$.price", "json:$.token"]
    assert found_in(recorded.parent / "r.json") == [[], changed, [*changed, "openapi:$.price"]]
    taken = capture(recorded.parent, "check", "shop.har", *options, "--accept", "--yes")
    assert taken.returncode == 1, "what does not fit the document is no baseline's to settle"
    assert "accepted 2 responses into shop.har" in taken.stderr
    assert [body["price"] for body in bodies(recorded)] == [1, 20, 30]
    again = capture(recorded.parent, "check", "shop.har", *options)
    assert again.returncode == 1
    assert found_in(recorded.parent / "r.json") == [[], [], ["openapi:$.price"]]
    one = capture(recorded.parent, "check", "shop.har", *options, "--accept", "3", "--yes")
    assert (one.returncode, "nothing to accept" in one.stderr) == (1, True), one.stderr
    (recorded.parent / "api.json").write_text(document())
    fits = capture(recorded.parent, "check", "shop.har", *options)
    assert (fits.returncode, "3 the same" in fits.stdout) == (0, True), fits.stdout
