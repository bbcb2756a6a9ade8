"""Captures are opened, ours and other tools': what is wrong with them is named, and nothing of theirs is lost."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.capture_entries import an_entry

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.formats.any_format import open_any
from proxy_policies.capture.formats.mitmproxy_flows import to_flow
from proxy_policies.capture.har import reader, writer
from proxy_policies.capture.har.entry_writer import write_entry
from proxy_policies.capture.har.reader import open_capture

GOOD: dict[str, Any] = {
    "startedDateTime": "2026-11-28T10:00:00Z",
    "time": 5,
    "request": {"method": "GET", "url": "http://a.test/", "headers": []},
    "response": {"status": 200, "headers": []},
}


def entry(**changed: Any) -> dict[str, Any]:
    """Return a good entry with members of its members changed; None takes one out."""
    made: dict[str, Any] = json.loads(json.dumps(GOOD))
    for name, value in changed.items():
        made[name] = made[name] | value if isinstance(value, dict) else value
    return {name: value for name, value in made.items() if value is not None}


def har(path: Path, *entries: Any, **log: Any) -> Path:
    path.write_text(json.dumps({"log": {"version": "1.2", **log, "entries": list(entries)}}))
    return path


READ = {
    "base64 without text": (entry(response={"content": {"encoding": "base64"}}), b"", ""),
    "base64 in lines": (entry(response={"content": {"encoding": "base64", "text": "YWJj\nZGVm"}}), b"abcdef", ""),
    "base64 without padding": (entry(response={"content": {"encoding": "base64", "text": "-_8"}}), b"\xfb\xff", ""),
    "a field without a name": (entry(response={"headers": [{"value": "x"}]}), b"", "headers[0].name: not the name"),
    "no name of a field": (entry(response={"headers": [{"name": "a: b", "value": ""}]}), b"", "a field: 'a: b'"),
    "Chrome's errors": (entry(_webSocketMessages=[{"type": "error"}, None]), b"", "not a WebSocket message"),
    "no base64": (entry(response={"content": {"encoding": "base64", "text": "!"}}), b"", "content.text: not base64"),
    "no date": (entry(startedDateTime=None), b"", "startedDateTime: not a date and time"),
    "odd date": (entry(startedDateTime="yesterday"), b"", "startedDateTime: not a date and time: 'yesterday'"),
    "status as text": (entry(response={"status": "200"}), b"", "response.status: expected a number"),
    "missing file": (entry(response={"content": {"_file": "gone.bin"}}), b"", "cannot read gone.bin"),
    "no reason": (entry(response={"statusText": "\u78ba\u5b9a\r\nX: y"}), b"", ""),
    "headers null": (entry(response={"headers": None}), b"", ""),
    "headers an object": (entry(response={"headers": {"a": "b"}}), b"", "response.headers: expected a list"),
    "size text": (entry(time="fast"), b"", "time: expected a number"),
}


@pytest.mark.parametrize(("value", "content", "problem"), READ.values(), ids=READ)
def test_an_imperfect_entry_is_read_as_far_as_it_goes(value: Any, content: bytes, problem: str, tmp_path: Path) -> None:
    capture = open_capture(har(tmp_path / "a.har", value, GOOD))
    first, second = capture
    assert (first.response.status, first.response.body.content) == (200, content)
    assert second.response.status == 200
    assert to_flow(first).response is not None
    assert (problem in " ".join(capture.problems)) if problem else not capture.problems


LEFT_OUT = {
    "data": (entry(request={"url": "data:text/plain,a"}), "not a URL of HTTP: 'data:text/plain,a'"),
    "blob": (entry(request={"url": "blob:http://a.test/1"}), "not a URL of HTTP"),
    "tunnel": (entry(request={"method": "CONNECT", "url": "http://a.test:443"}), "CONNECT opens a tunnel"),
    "about": (entry(request={"url": "about:blank"}), "not a URL of HTTP"),
    "a port that is none": (entry(request={"url": "http://a.test:99999/"}), "not a URL: 'http://a.test:99999/'"),
    "relative": (entry(request={"url": "/x"}), "not an absolute URL: '/x'"),
    "no URL": (entry(request={"url": None}), "request.url: expected text"),
    "a method that is none": (entry(request={"method": "GE\x1bT"}), "request.method: not a method: 'GE"),
    "no request": (entry(request="x"), "entry 2, request"),
    "no entry": ("text", "entry 2"),
}


@pytest.mark.parametrize(("value", "problem"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_an_entry_that_is_not_of_http_is_left_out_by_name(value: Any, problem: str, tmp_path: Path) -> None:
    capture = open_capture(har(tmp_path / "a.har", GOOD, value, GOOD))
    assert len(list(capture)) == 2
    assert problem in capture.problems[-1]
    assert capture.problems[-1].endswith(": left out")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a.test/\r\nX: y", "http://a.test/X:%20y"),
        (" http://a.test/a b?c=d e#f ", "http://a.test/a%20b?c=d%20e#f"),
        ("http://münchen.test:81/ü?q=ß", "http://xn--mnchen-3ya.test:81/%C3%BC?q=%C3%9F"),
        ("http://a.test/\u0000", "http://a.test/%00"),
        ("http://a.test/%C3%BC?a[]=1&b={}|", "http://a.test/%C3%BC?a[]=1&b={}|"),
    ],
)
def test_a_url_is_one_that_can_be_asked_for(url: str, expected: str, tmp_path: Path) -> None:
    (found,) = open_capture(har(tmp_path / "a.har", entry(request={"url": url})))
    assert found.request.url == expected


def test_fields_that_an_exporter_joined_are_fields_again(tmp_path: Path) -> None:
    headers = [{"name": "Set-Cookie", "value": "a=1\nb=2\r\nc=3"}, {"name": "X", "value": "1\r2"}]
    (found,) = open_capture(har(tmp_path / "a.har", entry(response={"headers": headers})))
    assert found.response.headers == (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Set-Cookie", "c=3"), ("X", "1 2"))


def test_nothing_of_a_foreign_file_is_lost_when_it_is_written_again(tmp_path: Path) -> None:
    timings = {"blocked": 1.5, "dns": 2, "connect": 3, "ssl": 1, "send": 1, "wait": 2, "receive": 3, "_queued": 4}
    cookie = {"name": "Set-Cookie", "value": "a=1; Path=/; Domain=a.test; HttpOnly; Secure; SameSite=Lax"}
    response = {"_transferSize": 77, "headersSize": 123, "headers": [cookie]}
    response["content"] = {"size": 3, "compression": 9, "mimeType": "text/plain", "text": "abc", "comment": "c"}
    value = entry(timings=None, response=response, request={"comment": "r", "_own": 1})
    value |= {"timings": timings, "cache": {"beforeRequest": {"hitCount": 1}}, "pageref": "page_1", "_priority": "High"}
    pages = [{"id": "page_1", "title": "A page", "startedDateTime": "2026-11-28T10:00:00Z", "pageTimings": {}}]
    path = har(tmp_path / "a.har", value, pages=pages, browser={"name": "B", "version": "1"}, comment="mine")
    for _ in range(2):
        log, entries = open_any(path)
        writer.rewrite(path, log, entries)
    log = json.loads(path.read_text())["log"]
    assert (log["pages"], log["browser"]["name"], log["comment"]) == (pages, "B", "mine")
    (again,) = log["entries"]
    assert (again["timings"], again["cache"]["beforeRequest"]["hitCount"]) == (timings, 1)
    assert (again["pageref"], again["_priority"]) == ("page_1", "High")
    assert (again["request"]["comment"], again["request"]["_own"]) == ("r", 1)
    assert (again["response"]["_transferSize"], again["response"]["headersSize"]) == (77, 123)
    assert (again["response"]["content"]["compression"], again["response"]["content"]["comment"]) == (9, "c")
    attributes = {"path": "/", "domain": "a.test", "httpOnly": True, "secure": True, "sameSite": "Lax"}
    assert again["response"]["cookies"] == [{"name": "a", "value": "1", **attributes}]


def test_a_capture_is_plain_json_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    with writer.create(path, writer.new_log("k1")) as out:
        for number in range(3):
            out.write(an_entry(number))
    capture = reader.open_capture(path)
    assert capture.framed
    assert capture.key_id == "k1"
    assert list(capture) == [an_entry(number) for number in range(3)]
    whole = json.loads(path.read_bytes())
    path.write_text(json.dumps(whole, indent=4))
    again = reader.open_capture(path)
    assert not again.framed
    assert list(again) == list(an_entry(number) for number in range(3))


def test_a_body_outside_the_captures_folder_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("no")
    folder = tmp_path / "in"
    folder.mkdir()
    fields = write_entry(an_entry())
    content = fields["response"]["content"] | {"_file": "../secret"}
    fields["response"] = fields["response"] | {"content": content}  # what is written is shared
    (folder / "a.har").write_text(json.dumps({"log": {"entries": [fields]}}))
    capture = reader.open_capture(folder / "a.har")
    assert list(capture) == []
    assert "outside the capture's folder: left out" in capture.problems[0]


BAD_FILES = {
    "binary": (b"\x89PNG\r\n", "not a HAR file: not text"),
    "truncated": (b'{"log": {"entries": [{"a"', "not a HAR file, or cut off"),
    "a list": (b"[]", "expected an object, found a list"),
    "no log": (b"{}", "expected an object, found nothing"),
    "newer": (b'{"log": {"_capture": {"format": 99}, "entries": []}}', "made by a newer proxy-policies"),
    "deep": (b"[" * 100_000, "nested too deeply|cut off"),
}


@pytest.mark.parametrize(("data", "text"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, data: bytes, text: str) -> None:
    path = tmp_path / "bad.har"
    path.write_bytes(data)
    with pytest.raises(CaptureError, match=text) as error:
        reader.open_capture(path)
    assert "\n" not in str(error.value)


def test_a_damaged_entry_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    with writer.create(path, writer.new_log()) as out:
        for number in range(3):
            out.write(an_entry(number))
    path.write_bytes(path.read_bytes().replace(b' "time": ', b' "time" ', 1))
    with pytest.raises(CaptureError, match="entry 1: not JSON"):
        list(reader.open_capture(path))
    path.write_bytes(path.read_bytes().replace(b"\n}\n,{", b"\nx}\n,{", 1))
    with pytest.raises(CaptureError, match="damaged after its last whole entry"):
        list(reader.open_capture(path))
