"""The HAR form of an entry: writing and reading it again gives the very same value."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.har import line_framing, reader, writer
from proxy_policies.capture.har.entry_reader import read_entry
from proxy_policies.capture.har.entry_writer import write_entry
from proxy_policies.capture.model import Body, Entry, Request, Response, Times, WebSocketMessage

octets = st.text(st.characters(max_codepoint=255), max_size=20)
headers = st.lists(st.tuples(octets.map(lambda text: "x" + text), octets), max_size=4).map(tuple)
mimes = st.sampled_from(
    ["", "text/html; charset=latin-1", "application/json", "text/plain; charset=nonsense", "image/png"]
)
bodies = st.builds(Body, st.binary(max_size=40), wire=st.none() | st.binary(max_size=20), dropped=st.integers(0, 9))
moments = st.floats(1e9, 2e9)
requests = st.builds(
    Request,
    st.sampled_from(["GET", "POST", "BREW"]),
    octets.map(lambda text: f"http://shop.test/{text}"),
    st.tuples(headers, mimes).map(lambda both: (*both[0], ("Content-Type", both[1]))),
    bodies,
    st.sampled_from(["HTTP/1.0", "HTTP/1.1", "HTTP/2"]),
    headers,
    octets,
)
responses = st.builds(Response, st.integers(100, 599), octets, headers, bodies, trailers=headers)
messages = st.builds(WebSocketMessage, st.booleans(), st.just(False), st.binary(max_size=20), moments) | st.builds(
    WebSocketMessage, st.booleans(), st.just(True), st.text(max_size=20).map(str.encode), moments
)
entries = st.builds(
    Entry,
    requests,
    responses,
    st.builds(Times, moments, st.none() | moments, st.none() | moments, st.none() | moments),
    id=st.text(max_size=8),
    origin=st.none() | responses,
    messages=st.lists(messages, max_size=3).map(tuple),
    close_code=st.none() | st.integers(1000, 4999),
    error=st.text(max_size=8),
    comment=st.text(max_size=8),
    trace=st.lists(st.dictionaries(st.text(max_size=5), st.integers()), max_size=2).map(tuple),
    connection_info=st.dictionaries(st.sampled_from(["client", "server_ip"]), st.text(max_size=5), max_size=2),
)


@given(entries)
def test_reading_what_was_written_gives_the_same_entry(entry: Entry) -> None:
    fields = json.loads(json.dumps(write_entry(entry)))
    assert read_entry(fields, "entry 1") == entry


@given(st.lists(entries, max_size=3))
def test_an_entry_survives_its_lines(some: list[Entry]) -> None:
    lines = b"".join(line_framing.entry_lines(write_entry(entry), number == 0) for number, entry in enumerate(some))
    found = [json.loads(text) for text, _ in line_framing.entries(lines.splitlines(keepends=True))]
    assert [read_entry(fields, "entry") for fields in found] == some


def an_entry(number: int = 1, **changes: object) -> Entry:
    answer = Response(200, "OK", (("Content-Type", "application/json"),), Body(b'{"n": %d}' % number))
    return Entry(Request("GET", f"http://shop.test/{number}"), answer, Times(1.7e9 + number), id=str(number))


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


def test_an_empty_capture_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    writer.create(path, writer.new_log()).close()
    assert list(reader.open_capture(path)) == []
    assert json.loads(path.read_bytes())["log"]["entries"] == []


def test_torn_at_every_octet_it_is_refused_then_mended(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    with writer.create(path, writer.new_log()) as out:
        out.write(an_entry(1))
        first = path.stat().st_size
        out.write(an_entry(2))
        second = path.stat().st_size
    data = path.read_bytes()
    head = data.index(b"\n") + 1
    for cut in range(head, second, 7):
        path.write_bytes(data[:cut])
        with pytest.raises(CaptureError, match="cut off"):
            reader.open_capture(path)
        writer.resume(path, writer.new_log()).close()
        assert [entry.id for entry in reader.open_capture(path)] == (["1"] if cut >= first else [])


def test_a_resumed_capture_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    for number in (1, 2, 3):
        with writer.resume(path, writer.new_log()) as out:
            out.write(an_entry(number))
    assert [entry.id for entry in reader.open_capture(path)] == ["1", "2", "3"]


def test_two_recorders_of_one_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    with (
        writer.resume(path, writer.new_log()),
        pytest.raises(CaptureError, match="another process is recording"),
    ):
        writer.resume(path, writer.new_log())


def test_nothing_is_added_to_a_foreign_har(tmp_path: Path) -> None:
    path = tmp_path / "chrome.har"
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": []}}, indent=2))
    before = path.read_bytes()
    with pytest.raises(CaptureError, match="nothing is added"):
        writer.resume(path, writer.new_log())
    assert path.read_bytes() == before


def test_large_bodies_go_beside_the_file_by_hash(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    large = Entry(Request("GET", "http://a.test/"), Response(200, body=Body(b"x" * 5000)), Times(1.7e9))
    with writer.create(path, writer.new_log(), bodies_over=1000) as out:
        out.write(large)
        out.write(large)
    assert path.stat().st_size < 4000
    assert len(list((tmp_path / "a.har.bodies").iterdir())) == 1
    assert list(reader.open_capture(path)) == [large, large]


def test_a_body_outside_the_captures_folder_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("no")
    folder = tmp_path / "in"
    folder.mkdir()
    fields = write_entry(an_entry())
    fields["response"]["content"]["_file"] = "../secret"
    (folder / "a.har").write_text(json.dumps({"log": {"entries": [fields]}}))
    capture = reader.open_capture(folder / "a.har")
    assert list(capture) == []
    assert "outside the capture's folder: left out" in capture.problems[0]


def test_a_hand_edited_text_wins_over_the_recorded_octets() -> None:
    entry = Entry(Request("GET", "http://a.test/"), Response(200, body=Body(b"old", wire=b"packed")), Times(1.7e9))
    fields = write_entry(entry)
    fields["response"]["content"]["text"] = "new"
    assert read_entry(fields, "entry 1").response.body == Body(b"new")


def test_what_firefox_had_in_its_cache_did_not_come_with_a_304() -> None:
    """As Firefox 153 exports a revalidated resource: `HTTP/1`, and the cached text under the 304."""
    fields = {
        "startedDateTime": "2026-11-21T08:37:58.593+00:00",
        "request": {
            "method": "GET",
            "url": "http://a.test/api.json",
            "httpVersion": "HTTP/1",
            "headers": [{"name": "If-Modified-Since", "value": "Sat, 21 Nov 2026 08:37:05 GMT"}],
        },
        "response": {
            "status": 304,
            "statusText": "Not Modified",
            "httpVersion": "HTTP/1",
            "headers": [{"name": "Date", "value": "Sat, 21 Nov 2026 08:37:58 GMT"}],
            "content": {"mimeType": "application/json", "size": 8, "text": '{"a":1}\n'},
        },
        "cache": {"afterRequest": None},
        "timings": {"blocked": -1, "send": 0, "wait": 1, "receive": 0},
        "time": 1,
        "pageref": "page_1",
    }
    entry = read_entry(fields, "entry 1")
    assert entry.response.body == Body()
    assert (entry.request.version, entry.response.version) == ("HTTP/1.1", "HTTP/1.1")


WRONG = {
    "response, text": ({"response": "x"}, "entry 1, response: expected an object, found text"),
    "status": ({"response": {"status": "200"}}, "entry 1, response.status: expected a number, found text"),
    "date": ({"startedDateTime": "yesterday"}, "entry 1, startedDateTime: not a date and time: 'yesterday'"),
    "url": ({"request": {"method": "GET", "url": "/x"}}, "entry 1, request.url: not an absolute URL: '/x'"),
    "header": (
        {"request": {"method": "GET", "url": "http://a/", "headers": [{"name": 3}]}},
        "entry 1, request.headers[0].name: expected text, found a number",
    ),
    "base64": (
        {"response": {"status": 200, "content": {"text": "!", "encoding": "base64"}}},
        "entry 1, response.content.text: not base64",
    ),
}


@pytest.mark.parametrize(("change", "text"), WRONG.values(), ids=WRONG)
def test_a_wrong_field_is_named(change: dict[str, object], text: str) -> None:
    fields = write_entry(an_entry()) | change
    fields.pop("_times", None)
    with pytest.raises(CaptureError) as error:
        read_entry(fields, "entry 1")
    assert str(error.value) == text


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


def test_a_failed_rewrite_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    path.write_text("before")

    def some() -> object:
        yield an_entry()
        raise CaptureError("no")

    with pytest.raises(CaptureError):
        writer.rewrite(path, writer.new_log(), some())  # type: ignore[arg-type]
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
