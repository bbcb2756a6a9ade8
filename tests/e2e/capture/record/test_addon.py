"""Recording with the real mitmdump."""

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.waiting import wait_until

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.har.reader import open_capture
from proxy_policies.capture.model import Entry, header

SECRET = "hunter2-Q9xZ"
Start = Callable[..., Mitmdump]
StartOrigin = Callable[..., Origin]


def record(mitmdump: Start, path: Path, *extra: str, **options: Any) -> Mitmdump:
    return mitmdump("--set", f"capture_file={path}", *extra, script=options.pop("script", "capture.py"), **options)


def recorded(path: Path) -> list[Entry]:
    return list(open_capture(path))


def test_what_passed_is_recorded_as_it_was(mitmdump: Start, origin: StartOrigin, curl: Any, tmp_path: Path) -> None:
    server, path = origin(), tmp_path / "a.har"
    fields = [("X-A", "1"), ("x-B", "2"), ("X-A", "3"), ("Content-Type", "application/json")]
    server.route("/json", Answer(200, fields, b'{"a": 1}', reason="Fine"))
    server.route("/chunks", Answer(200, [], [b"one", b"two"]))
    server.route("/big", Answer(200, [], os.urandom(3 << 20)))
    proxy = record(mitmdump, path)
    curl("-x", proxy.url, "-d", "a=b", "-H", "X-One: 1", "-H", "x-one: 2", f"{server.url}/json?x=%41&x=b")
    curl("-x", proxy.url, f"{server.url}/chunks")
    curl("-x", proxy.url, f"{server.url}/big")
    assert proxy.stop() == 0
    first, second, third = recorded(path)
    assert first.request.method == "POST"
    assert first.request.url == f"{server.url}/json?x=%41&x=b"
    assert [pair for pair in first.request.headers if pair[0].lower() == "x-one"] == [("X-One", "1"), ("x-one", "2")]
    assert first.request.body.content == b"a=b"
    assert [pair for pair in first.response.headers if pair[0].lower() in ("x-a", "x-b")] == fields[:3]
    assert (first.response.status, first.response.reason) == (200, "Fine")
    assert first.response.body.content == b'{"a": 1}'
    assert first.connection_info["server"]["address"] == f"127.0.0.1:{server.port}"
    assert 0 < first.times.seconds < 60
    assert second.response.body.content == b"onetwo"
    assert len(third.response.body.content) == 3 << 20
    assert json.loads(path.read_bytes())["log"]["entries"]


def test_no_secret_reaches_the_file(mitmdump: Start, origin: StartOrigin, curl: Any, tmp_path: Path) -> None:
    server, path = origin(), tmp_path / "a.har"
    server.route("/", Answer(200, [("Set-Cookie", f"sid={SECRET}; Path=/")], f"hello {SECRET}".encode()))
    proxy = record(mitmdump, path, "--set", "capture_redact=header:X-Customer")
    curl("-x", proxy.url, "-u", f"joe:{SECRET}", "-b", f"sid={SECRET}", f"{server.url}/?token={SECRET}")
    curl("-x", proxy.url, "-H", "X-Customer: customer-77", "-d", f"password={SECRET}", f"{server.url}/{SECRET}")
    assert proxy.stop() == 0
    text = path.read_text()
    assert SECRET not in text
    assert "customer-77" not in text
    assert len(recorded(path)) == 2
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]


def test_a_filter_chooses(mitmdump: Start, origin: StartOrigin, curl: Any, tmp_path: Path) -> None:
    server, path = origin(), tmp_path / "a.har"
    proxy = record(mitmdump, path, "--set", "capture_filter=~u /api")
    for name in ("/api/1", "/other", "/api/2"):
        curl("-x", proxy.url, f"{server.url}{name}")
    assert proxy.stop() == 0
    assert [entry.request.url[-6:] for entry in recorded(path)] == ["/api/1", "/api/2"]


def test_killed_it_keeps_what_was_done_and_goes_on(
    mitmdump: Start, origin: StartOrigin, curl: Any, tmp_path: Path
) -> None:
    server, path = origin(), tmp_path / "a.har"
    proxy = record(mitmdump, path)
    for number in range(5):
        curl("-x", proxy.url, f"{server.url}/{number}")
    wait_until(lambda: path.read_bytes().count(b"startedDateTime") == 5, what="five entries")
    assert proxy.stop(signal.SIGKILL) == -signal.SIGKILL
    with pytest.raises(CaptureError, match="cut off; repair it with"):
        open_capture(path)
    again = record(mitmdump, path)
    curl("-x", again.url, f"{server.url}/5")
    assert again.stop() == 0
    assert [entry.request.url[-1] for entry in recorded(path)] == list("012345")


def test_a_dead_origin_and_a_broken_body_are_recorded(
    mitmdump: Start, origin: StartOrigin, curl: Any, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    server, path = origin(), tmp_path / "a.har"
    server.route("/cut", Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", close=True))
    proxy = record(mitmdump, path)
    curl("-x", proxy.url, f"http://127.0.0.1:{free_port()}/")
    curl("-x", proxy.url, f"{server.url}/cut")
    assert proxy.stop() == 0
    dead, cut = recorded(path)
    assert dead.error
    assert dead.response.status in (0, 502)
    assert cut.error


WRONG = {
    "no folder": ("/nowhere/a.har", "No such file or directory"),
    "a foreign file": ("{path}", "not written by this program"),
}


@pytest.mark.parametrize(("value", "text"), WRONG.values(), ids=WRONG)
def test_a_file_that_cannot_be_recorded_into_ends_mitmdump(
    mitmdump: Start, tmp_path: Path, value: str, text: str
) -> None:
    (tmp_path / "chrome.har").write_text("{\n}")
    proxy = record(mitmdump, Path(value.format(path=tmp_path / "chrome.har")), wait=False)
    assert proxy.wait_exit() == 1
    proxy.wait_log(re.escape(text))
    assert "Traceback" not in proxy.log()


def test_what_policies_changed_is_kept_beside(mitmdump: Start, origin: StartOrigin, curl: Any, tmp_path: Path) -> None:
    server, path = origin(), tmp_path / "a.har"
    server.route("/", Answer(200, [("Content-Type", "text/plain")], b"x" * 5000))
    proxy = record(mitmdump, path, "--set", "modify_headers=/~s/X-Added/yes", script="capture.py")
    curl("-x", proxy.url, server.url)
    assert proxy.stop() == 0
    (entry,) = recorded(path)
    assert header(entry.response.headers, "x-added") == "yes"
    assert entry.origin is not None
    assert header(entry.origin.headers, "x-added") is None
    assert entry.origin.body == entry.response.body
    assert path.read_bytes().count(b"x" * 5000) == 1
