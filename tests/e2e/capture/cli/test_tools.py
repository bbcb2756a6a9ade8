"""show, scrub, merge, export; and what mitmproxy itself makes of our files."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.capture_commands import capture, tools
from tests.support.mitmdump import Mitmdump, environment

from proxy_policies.capture.formats import mitmproxy_flows
from proxy_policies.capture.har import writer
from proxy_policies.capture.har.reader import open_capture
from proxy_policies.capture.model import Body, Entry, Request, Response, Times, WebSocketMessage

SECRET = "hunter2-Q9xZ"
JSON = (("content-type", "application/json"),)
FIELDS = (("X-A", "1"), ("x-a", "2"), ("Set-Cookie", f"sid={SECRET}"))
ENTRIES = [
    Entry(
        Request("POST", "http://shop.test/login", JSON, Body(b'{"password":"%s"}' % SECRET.encode())),
        Response(200, "OK", FIELDS, Body(b"\xff\x00" + SECRET.encode())),
        Times(1.76e9, 1.76e9 + 1, 1.76e9 + 2, 1.76e9 + 3), id="one",
    ),
    Entry(Request("GET", f"https://shop.test/{SECRET}?q=%C3%BC"), Response(404, "No"), Times(1.76e9 + 5), id="two"),
    Entry(
        Request("GET", "http://shop.test/ws"), Response(101), Times(1.76e9 + 6), id="three", close_code=1000,
        messages=(
            WebSocketMessage(True, True, b"hi", 1.76e9 + 7),
            WebSocketMessage(False, False, b"\x00\xff", 1.76e9 + 8),
        ),
    ),
]  # fmt: skip


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.har"
    with writer.create(path, writer.new_log()) as out:
        for entry in ENTRIES:
            out.write(entry)
    return path


def test_scrub_cleans_an_old_file(shop: Path) -> None:
    done = capture(shop.parent, "scrub", "--confdir", "conf", "shop.har")
    assert done.returncode == 0, done.stderr
    assert "scrubbed 3 entries into shop.har" in done.stderr
    assert SECRET not in shop.read_text()
    assert len(list(open_capture(shop))) == 3


@pytest.mark.parametrize(
    ("words", "begins"),
    [
        (("scrub", "shop.har", "-o", "-"), '{"log":'),
        (("merge", "shop.har", "-o", "-"), '{"log":'),
        (("export", "shop.har", "/dev/stdout", "--as", "curl"), "#!/bin/sh"),
        (("export", "shop.har", "-", "--as", "openapi"), '{\n  "openapi"'),
    ],
)
def test_a_hyphen_is_standard_output(words: tuple[str, ...], begins: str, shop: Path) -> None:
    before = shop.read_bytes()
    name, *others = words
    done = (tools if name == "merge" else capture)(shop.parent, name, *others)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(begins)
    assert "standard output" in done.stderr
    assert shop.read_bytes() == before
    assert {path.name for path in shop.parent.iterdir()} <= {"shop.har", "conf"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("scrub", "shop.har", "-o", "-", "--json"), "only one output can be standard output"),
        (("export", "shop.har", "-"), "standard output: unknown file type"),
        (("export", "shop.har", "-", "--as", "har", "--bodies-over", "1k"), "need a capture that is a file"),
        (("record", "-", "--", "true"), "'-': name a file; standard output is that of the command"),
        (("check", "shop.har", "--html", "-", "--json", "-"), "only one output can be standard output"),
        (("check", "shop.har", "--noise", "."), ".: Is a directory"),
        (("check", "shop.har", "--secrets", "/dev/zero"), "/dev/zero: not a file"),
        (("check", "shop.har", "--secret", "a=file:."), ".: Is a directory"),
        (("check", "shop.har", "--openapi", "/dev/zero"), "/dev/zero: not a file"),
    ],
)
def test_files_that_cannot_be_used_are_one_line(words: tuple[str, ...], said: str, shop: Path) -> None:
    name, *others = words
    done = capture(shop.parent, name, *others)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr.splitlines()[-1]


def test_an_output_that_cannot_be_written_is_not_said_to_be(shop: Path) -> None:
    command = [sys.executable, "-m", "proxy_policies.capture", "export", "--raw", "shop.har", "-", "--as", "curl"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, env=environment(), cwd=shop.parent
        )
    assert (done.returncode, done.stderr) == (2, "capture: standard output: No space left on device\n")


def test_repair_mends_a_torn_capture(shop: Path) -> None:
    shop.write_bytes(shop.read_bytes()[:-40])
    refused = tools(shop.parent, "show", "shop.har")
    assert refused.returncode == 2
    assert "proxy-policies capture show --repair shop.har" in refused.stderr
    assert "is complete: 2 entries" in tools(shop.parent, "show", "--repair", "shop.har").stderr
    assert tools(shop.parent, "show", "shop.har").returncode == 0


def test_show_prints_the_entries_and_one_of_them(shop: Path) -> None:
    table = tools(shop.parent, "show", "shop.har").stdout
    assert "POST http://shop.test/login" in table
    assert "404" in table
    one = tools(shop.parent, "show", "shop.har", "3").stdout
    assert "→ hi" in one
    assert "no entry 9" in tools(shop.parent, "show", "shop.har", "9").stderr


def test_show_says_what_was_not_recorded(shop: Path) -> None:
    left_out = WebSocketMessage(True, True, b"", 1.76e9, dropped=7)
    entry = Entry(
        Request("POST", "http://shop.test/", body=Body(dropped=1)),
        Response(200, body=Body(dropped=1234, sha256="0" * 64)),
        Times(1.76e9),
        messages=(left_out,),
    )
    with writer.create(shop.with_name("cut.har"), writer.new_log()) as out:
        out.write(entry)
    shown = tools(shop.parent, "show", "cut.har", "1").stdout
    assert [line for line in shown.splitlines() if "not recorded" in line] == [
        "(1 byte not recorded)",
        "(1234 bytes not recorded)",
        "→ (7 bytes not recorded)",
    ]


def test_merge_is_by_time_and_takes_each_entry_once(shop: Path) -> None:
    other = shop.with_name("other.har")
    between = Entry(Request("GET", "http://shop.test/between"), Response(200), Times(1.76e9 + 4), id="four")
    with writer.create(other, writer.new_log()) as out:
        for entry in (ENTRIES[2], between):
            out.write(entry)
    assert tools(shop.parent, "merge", "shop.har", "other.har", "-o", "both.har").returncode == 0
    assert [entry.id for entry in open_capture(shop.with_name("both.har"))] == ["one", "four", "two", "three"]


def test_programs_read_what_was_done(shop: Path) -> None:
    merged = tools(shop.parent, "merge", "shop.har", "shop.har", "-o", "both.har", "--json")
    expected: dict[str, object] = {"output": "both.har", "captures": 2, "entries": 3, "duplicates": 3, "problems": []}
    assert (json.loads(merged.stdout), merged.stderr) == (expected, "")
    exported = tools(shop.parent, "export", "both.har", "both.sh", "--raw", "--json")
    expected = {"output": "both.sh", "format": "curl", "entries": 3, "replaced": 0, "problems": []}
    assert json.loads(exported.stdout) == expected
    scrubbed = tools(shop.parent, "scrub", "both.har", "--json")
    assert json.loads(scrubbed.stdout) == {"output": "both.har", "entries": 3, "problems": []}


def test_nothing_found_is_an_exit_code_and_no_line(shop: Path) -> None:
    found = tools(shop.parent, "show", "shop.har", "--filter", "~u /nowhere")
    assert (found.returncode, found.stdout) == (1, "")
    assert "no entry matches the filter" in found.stderr
    assert tools(shop.parent, "show", "shop.har", "--filter", "~m GET").returncode == 0
    writer.rewrite(shop, writer.new_log(), [])
    empty = tools(shop.parent, "show", "shop.har")
    assert (empty.returncode, empty.stdout) == (0, "")
    assert "has no entries" in empty.stderr


def test_a_flow_file_and_back_loses_nothing_that_flows_have(shop: Path) -> None:
    assert tools(shop.parent, "export", "--raw", "shop.har", "shop.mitm").returncode == 0
    back = list(mitmproxy_flows.read_flow_file(shop.with_name("shop.mitm")))
    assert [entry.request for entry in back] == [entry.request for entry in ENTRIES]
    assert [entry.response for entry in back] == [entry.response for entry in ENTRIES]
    assert [entry.messages for entry in back] == [entry.messages for entry in ENTRIES]
    assert back[0].times == ENTRIES[0].times


def test_large_bodies_are_exported_beside(shop: Path) -> None:
    assert tools(shop.parent, "export", "--raw", "shop.har", "out.har", "--bodies-over", "10").returncode == 0
    assert list(open_capture(shop.with_name("out.har"))) == ENTRIES
    assert len(list(shop.with_name("out.har.bodies").iterdir())) == 2
    assert "exists: --overwrite" in tools(shop.parent, "export", "--raw", "shop.har", "out.har").stderr


def test_mitmproxy_reads_our_har(shop: Path, mitmdump: Callable[..., Mitmdump]) -> None:
    proxy = mitmdump("-n", "-r", str(shop), "--set", "flow_detail=1", script=None, wait=False)
    proxy.wait_log(r"404 No")
    log = proxy.log()
    proxy.stop()
    assert "POST http://shop.test/login" in log
    assert "Traceback" not in log


FOREIGN = {
    "chrome": {"_initiator": {"type": "other"}, "connection": "443", "pageref": "page_1"},
    "firefox": {"_securityState": "secure", "serverIPAddress": "10.0.0.1"},
}


@pytest.mark.parametrize("extra", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_har_is_read_and_what_we_do_not_know_is_carried(extra: dict[str, object], tmp_path: Path) -> None:
    fields = [{"name": ":method", "value": "GET"}, {"name": "accept", "value": "*/*"}]
    content = {"size": 2, "mimeType": "text/plain", "text": "hi"}
    entry = {
        "startedDateTime": "2026-01-02T03:04:05.678Z",
        "time": 12.5,
        "timings": {"send": 1, "wait": 2, "receive": 3},
        "request": {"method": "GET", "url": "https://a.test/", "httpVersion": "h2", "headers": fields, "bodySize": 0},
        "response": {"status": 200, "statusText": "", "httpVersion": "h2", "headers": [], "content": content},
        **extra,
    }
    log = {"version": "1.2", "creator": {"name": "x", "version": "1"}, "pages": [{"id": "page_1"}], "entries": [entry]}
    (tmp_path / "a.har").write_text(json.dumps({"log": log}, indent=2))
    assert tools(tmp_path, "export", "--raw", "a.har", "b.har").returncode == 0
    written = json.loads((tmp_path / "b.har").read_text())["log"]
    assert written["pages"] == [{"id": "page_1"}]
    assert {name: written["entries"][0][name] for name in extra} == extra
    (read,) = open_capture(tmp_path / "b.har")
    assert (read.request.version, read.request.headers) == ("HTTP/2", (("accept", "*/*"),))


def test_show_prints_a_line_for_each_entry_and_nothing_that_a_terminal_obeys(tmp_path: Path) -> None:
    long = "x" * 300
    url = f"http://shop.test/{long}?a=\x1b]0;title\x07\u202e"
    fields = (("Content-Type", "application/json"), ("X-A", "\x1b[2J"))
    entries = [
        Entry(Request("GET", url), Response(200, "OK", fields, Body(b'{"a": "\xc2\x9b31m"}')), Times(1.76e9)),
        Entry(Request("GET", "http://shop.test/b"), Response(404, "\x1b[5m"), Times(1.76e9)),
    ]
    with writer.create(tmp_path / "a.har", writer.new_log()) as out:
        for entry in entries:
            out.write(entry)
    shown = [
        tools(tmp_path, "show", "a.har"),
        tools(tmp_path, "show", "a.har", "1"),
        tools(tmp_path, "show", "a.har", "2"),
    ]
    for done in shown:
        assert done.returncode == 0, done.stderr
        assert not set(done.stdout) & set("\x1b\x07\x9b\u202e")
    lines = shown[0].stdout.splitlines()
    assert len(lines) == 2
    assert f"GET http://shop.test/{long}?a=\\x1b]0;title\\x07\\u202e" in lines[0]
    assert lines[1].split()[2:] == ["404", "0", "GET", "http://shop.test/b"]
    values = [json.loads(line) for line in tools(tmp_path, "show", "--json", "a.har").stdout.splitlines()]
    assert [(value["number"], value["status"], value["url"]) for value in values] == [
        (1, 200, url),
        (2, 404, "http://shop.test/b"),
    ]
    chosen = tools(tmp_path, "show", "--json", "--filter", "~c 404", "a.har").stdout.splitlines()
    assert [json.loads(line)["number"] for line in chosen] == [2]


def test_scrub_does_not_write_a_har_into_a_flow_file(shop: Path) -> None:
    assert tools(shop.parent, "export", "--raw", "shop.har", "shop.mitm").returncode == 0
    assert (shop.parent / "shop.mitm").stat().st_mode & 0o777 == 0o600
    refused = capture(shop.parent, "scrub", "shop.mitm")
    assert refused.returncode == 2
    assert "shop.mitm is not a plain HAR file, and what is written is one: name it with -o shop.har" in refused.stderr


def test_scrub_cleans_the_titles_of_pages(tmp_path: Path) -> None:
    pages = [{"id": "p", "title": f"http://shop.test/?token={SECRET}", "startedDateTime": "", "pageTimings": {}}]
    (tmp_path / "a.har").write_text(json.dumps({"log": {"version": "1.2", "pages": pages, "entries": []}}))
    assert capture(tmp_path, "scrub", "a.har").returncode == 0
    assert SECRET not in (tmp_path / "a.har").read_text()


def test_a_dry_run_lists_what_would_go_and_writes_nothing(shop: Path) -> None:
    before = shop.read_bytes()
    done = capture(shop.parent, "scrub", "--confdir", "conf", "shop.har", "--dry-run", "--redact", "header:x-a")
    assert done.returncode == 0, done.stderr
    assert "nothing was written" in done.stderr
    lines = capture(shop.parent, "scrub", "--confdir", "conf", "shop.har", "--dry-run", "--json").stdout.splitlines()
    assert all({"entry", "message", "location", "rule", "placeholder"} == set(json.loads(line)) for line in lines)
    assert shop.read_bytes() == before


def test_show_stops_when_its_output_is_closed(shop: Path) -> None:
    command = f"{sys.executable} -m proxy_policies.capture show {shop} | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, env=environment())
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


CASSETTE = """interactions:
- request: {body: null, headers: {Accept: ['*/*']}, method: GET, uri: "http://shop.test/a"}
  response:
    body: {string: from the cassette}
    headers: {Content-Type: [text/plain]}
    status: {code: 200, message: OK}
version: 1
"""


@pytest.mark.parametrize("name", ["cassette.yaml", "shop.mitm", "shop.har.gz"])
def test_what_others_recorded_is_replayed(name: str, tmp_path: Path) -> None:
    (tmp_path / "cassette.yaml").write_text(CASSETTE)
    assert tools(tmp_path, "export", "--raw", "cassette.yaml", "shop.har").returncode == 0
    assert tools(tmp_path, "export", "--raw", "cassette.yaml", "shop.mitm").returncode == 0
    (tmp_path / "shop.har.gz").write_bytes(gzip.compress((tmp_path / "shop.har").read_bytes()))
    done = capture(tmp_path, "replay", name, "--", "curl", "-s", "http://shop.test/a")
    assert (done.returncode, done.stdout) == (0, "from the cassette"), done.stderr


def test_an_export_is_what_its_ending_says(shop: Path) -> None:
    assert tools(shop.parent, "export", "--raw", "shop.har", "shop.sh").returncode == 0
    assert "curl --request GET" not in (shop.parent / "shop.sh").read_text()
    assert (shop.parent / "shop.sh").read_text().count("\ncurl ") == 3
    assert tools(shop.parent, "export", "--raw", "shop.har", "requests", "--as", "http").returncode == 0
    assert (shop.parent / "requests").read_text().startswith("### 1: POST http://shop.test/login (200)\n")
    refused = tools(shop.parent, "export", "--raw", "shop.har", "shop.txt")
    assert refused.returncode == 2
    assert "shop.txt: unknown file type; use one of the endings .har, .mitm" in refused.stderr


def test_traffic_becomes_an_openapi_document_that_it_is_held_to(tmp_path: Path) -> None:
    response = Response(200, "OK", JSON, Body(b'{"id": 17, "token": "%s"}' % SECRET.encode()))
    entries = [Entry(Request("GET", f"http://shop.test/orders/{number}"), response, Times(1.0)) for number in (17, 18)]
    writer.rewrite(tmp_path / "shop.har", writer.new_log(), entries)
    for name in ("api.yaml", "api.json"):
        done = tools(tmp_path, "export", "--confdir", "conf", "shop.har", name, "--as", "openapi")
        assert done.returncode == 0, done.stderr
        assert SECRET not in (tmp_path / name).read_text()
        assert "/orders/{orderId}" in (tmp_path / name).read_text()
        same = tools(tmp_path, "check", "--confdir", "conf", "shop.har", "--openapi", name)
        assert (same.returncode, same.stdout.splitlines()[-1].partition(": ")[2]) == (0, "2 the same"), same.stderr
    changed = replace(response, body=Body(b'{"id": "17"}'))
    writer.rewrite(tmp_path / "new.har", writer.new_log(), [replace(entries[0], response=changed)])
    found = tools(tmp_path, "check", "--confdir", "conf", "new.har", "--openapi", "api.yaml", "--json", "r.json")
    assert found.returncode == 1
    changes = json.loads((tmp_path / "r.json").read_text())["outcomes"][0]["changes"]
    assert [change["location"] for change in changes] == ["openapi:$.id", "openapi:$"]


@pytest.mark.parametrize(
    "text", ['{"swagger": "2.0"}', "a: [", None, '{"openapi": "3.1.0", "paths": {"/": {"$ref": "#/x"}}}']
)
def test_a_document_that_cannot_be_used_is_one_line(text: str | None, tmp_path: Path) -> None:
    writer.rewrite(
        tmp_path / "a.har", writer.new_log(), [Entry(Request("GET", "http://a.test/"), Response(200), Times(1.0))]
    )
    if text is not None:
        (tmp_path / "api.json").write_text(text)
    done = tools(tmp_path, "check", "--confdir", "conf", "a.har", "--openapi", "api.json")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "api.json" in done.stderr


def test_a_foreign_file_is_exported_without_its_secrets(tmp_path: Path) -> None:
    writer.rewrite(tmp_path / "chrome.har", {"version": "1.2"}, ENTRIES[:1])
    for name in ("a.har", "a.mitm", "a.sh", "a.http"):
        done = tools(tmp_path, "export", "--confdir", "conf", "chrome.har", name)
        assert done.returncode == 0, done.stderr
        assert SECRET.encode() not in (tmp_path / name).read_bytes()
        assert "replaced 1 secret of chrome.har by placeholders; --raw keeps them" in done.stderr
    done = tools(tmp_path, "export", "--raw", "chrome.har", "raw.har")
    assert (done.returncode, "placeholders" in done.stderr) == (0, False)
    assert SECRET in (tmp_path / "raw.har").read_text()
