"""Replaying with the real mitmdump: as recorded, and airtight."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin

SECRET = "hunter2-Q9xZ"
Start = Callable[..., Mitmdump]
StartOrigin = Callable[..., Origin]


@pytest.fixture
def confdir(tmp_path: Path) -> Path:
    return tmp_path / "conf"


@pytest.fixture
def shop(origin: StartOrigin) -> Origin:
    server = origin()
    count = iter(range(1000))
    server.route("/count", lambda _: Answer(200, [], b"%d" % next(count)))
    packed = gzip.compress(b"packed " * 100)
    server.route("/gzip", Answer(200, [("Content-Encoding", "gzip"), ("Content-Type", "text/plain")], packed))
    server.route("/chunks", Answer(200, [("Content-Type", "text/event-stream")], [b"data: 1\n\n", b"data: 2\n\n"]))
    server.route("/echo", lambda request: Answer(200, [("X-Two", "1"), ("X-Two", "2")], request.body[::-1]))
    server.route("/moved", Answer(302, [("Location", "/count")], b""))
    server.route("/none", Answer(204, [], b""))
    server.route("/login", Answer(200, [("Set-Cookie", f"sid={SECRET}")], b"welcome"))
    return server


@pytest.fixture
def recorded(shop: Origin, mitmdump: Start, curl: Any, tmp_path: Path, confdir: Path) -> Path:
    path = tmp_path / "shop.har"
    proxy = mitmdump("--set", f"capture_file={path}", script="capture.py", confdir=confdir)
    for arguments in ASKED.values():
        curl("-x", proxy.url, *arguments[:-1], shop.url + arguments[-1])
    assert proxy.stop() == 0
    return path


ASKED = {
    "first": ("/count",),
    "second": ("/count",),
    "gzip": ("/gzip",),
    "sse": ("/chunks",),
    "post": ("-d", "hello", "/echo"),
    "redirect": ("/moved",),
    "no content": ("/none",),
    "head": ("-I", "/gzip"),
    "login": ("-u", f"joe:{SECRET}", "/login"),
    "chunked upload": ("-H", "Transfer-Encoding: chunked", "-d", "x" * 3000, "/echo"),
}


def replay(mitmdump: Start, path: Path, confdir: Path, *extra: str) -> Mitmdump:
    report = path.with_suffix(".json")
    options = ("--set", f"replay_file={path}", "--set", f"replay_report={report}", *extra)
    return mitmdump(*options, script="capture.py", confdir=confdir)


def test_a_replay_answers_as_the_origin_did(
    recorded: Path, shop: Origin, mitmdump: Start, curl: Any, confdir: Path
) -> None:
    shop.close()
    seen = len(shop.requests)
    proxy = replay(mitmdump, recorded, confdir)
    got = {name: curl("-x", proxy.url, *asked[:-1], shop.url + asked[-1]) for name, asked in ASKED.items()}
    missed = curl("-x", proxy.url, f"{shop.url}/echo?x=1")
    assert proxy.stop() == 0
    assert (got["first"].body, got["second"].body) == (b"0", b"1")
    assert gzip.decompress(got["gzip"].body) == b"packed " * 100
    assert got["sse"].body == b"data: 1\n\ndata: 2\n\n"
    assert got["post"].body == b"olleh"
    assert [value for name, value in got["post"].headers if name == "X-Two"] == ["1", "2"]
    assert (got["redirect"].status, got["redirect"].get("location")) == (302, "/count")
    assert got["no content"].status == 204
    assert got["head"].status == 200
    assert int(got["head"].get("content-length") or 0) == len(got["gzip"].body)
    assert got["login"].body == b"welcome"
    assert got["chunked upload"].body == b"x" * 3000
    assert missed.status == 599
    assert b"not recorded; nearest is entry" in missed.body
    report = json.loads(recorded.with_suffix(".json").read_text())
    assert report["played"] == len(ASKED)
    assert len(report["misses"]) == 1
    assert report["unused"] == []
    assert len(shop.requests) == seen


def test_a_used_up_recording_never_goes_live(
    recorded: Path, shop: Origin, mitmdump: Start, curl: Any, confdir: Path
) -> None:
    proxy = replay(mitmdump, recorded, confdir)
    seen, connected = len(shop.requests), shop.connections
    answers = [curl("-x", proxy.url, f"{shop.url}/count").status for _ in range(4)]
    assert answers == [200, 200, 599, 599]
    assert curl("-x", proxy.url, "-k", "https://127.0.0.1:1/").status == 599
    assert proxy.stop() == 0
    assert (len(shop.requests), shop.connections) == (seen, connected)


def test_new_records_only_what_is_missing(
    recorded: Path, shop: Origin, mitmdump: Start, curl: Any, confdir: Path
) -> None:
    before = recorded.read_bytes().count(b"startedDateTime")
    proxy = replay(mitmdump, recorded, confdir, "--set", "replay_mode=new", "--set", f"capture_file={recorded}")
    seen = len(shop.requests)
    curl("-x", proxy.url, f"{shop.url}/gzip")
    assert len(shop.requests) == seen
    curl("-x", proxy.url, f"{shop.url}/new")
    assert proxy.stop() == 0
    assert [request.target for request in shop.requests[seen:]] == ["/new"]
    assert recorded.read_bytes().count(b"startedDateTime") == before + 1


def test_a_capture_of_another_key_still_plays(recorded: Path, shop: Origin, mitmdump: Start, curl: Any) -> None:
    other = recorded.parent / "other"
    proxy = replay(mitmdump, recorded, other)
    assert curl("-x", proxy.url, "-u", "joe:another-password1", f"{shop.url}/login").body == b"welcome"
    assert proxy.stop() == 0


def test_a_torn_capture_ends_mitmdump(recorded: Path, mitmdump: Start, confdir: Path) -> None:
    recorded.write_bytes(recorded.read_bytes()[:-20])
    proxy = mitmdump("--set", f"replay_file={recorded}", script="capture.py", confdir=confdir, wait=False)
    assert proxy.wait_exit() == 1
    proxy.wait_log(re.escape("the recording was cut off; repair it with"))
    assert "Traceback" not in proxy.log()
