"""Cassettes of vcrpy and pytest-recording are read."""

import base64
import gzip
import json
from pathlib import Path

import pytest

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.formats.any_format import open_source
from proxy_policies.capture.formats.vcr_cassettes import is_cassette, read_cassette
from proxy_policies.capture.model import Entry, header

YAML = """
interactions:
- request:
    body: a=1&password=x
    headers:
      Accept: ['*/*']
      Content-Type: [application/x-www-form-urlencoded]
    method: POST
    uri: http://shop.test/login
  response:
    body: {string: '{"token": "ä"}'}
    headers:
      Content-Type: [application/json]
      Set-Cookie: [a=1, b=2]
    status: {code: 201, message: Created}
- request: {body: null, headers: {}, method: GET, uri: 'https://shop.test/pic'}
  response:
    body: {string: !!binary iVBORw0KGgo=}
    headers: {content-type: image/png}
    status: {code: 200, message: null}
version: 1
"""


def write(tmp_path: Path, content: str | bytes, name: str = "a.yaml") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path) -> tuple[list[Entry], list[str]]:
    problems: list[str] = []
    return list(read_cassette(path, problems)), problems


def test_yaml_is_read(tmp_path: Path) -> None:
    (login, picture), problems = read(write(tmp_path, YAML))
    assert problems == []
    assert (login.request.method, login.request.url, login.request.body.content) == (
        *("POST", "http://shop.test/login", b"a=1&password=x"),
    )
    assert (login.response.status, login.response.reason) == (201, "Created")
    assert json.loads(login.response.body.content) == {"token": "ä"}
    assert [value for name, value in login.response.headers if name == "Set-Cookie"] == ["a=1", "b=2"]
    assert picture.response.body.content == b"\x89PNG\r\n\x1a\n"
    assert header(picture.response.headers, "content-type") == "image/png"
    assert login.times.request_start < picture.times.request_start


def interaction(**response: object) -> dict[str, object]:
    answered = {"body": {"string": "hi"}, "headers": {}, "status": {"code": 200, "message": "OK"}, **response}
    return {"request": {"method": "GET", "uri": "http://a.test/", "headers": {}, "body": None}, "response": answered}


def test_json_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps({"version": 1, "interactions": [interaction()]}), "a.json")
    assert is_cassette(path)
    ((entry,), _) = read(path)
    assert entry.response.body.content == b"hi"


def test_an_older_cassette_of_httpx_is_read(tmp_path: Path) -> None:
    answered = {"status_code": 201, "http_version": "HTTP/1.1", "headers": [["a", "b"]], "content": "hi"}
    asked = {"method": "GET", "uri": "http://a.test/", "headers": {}, "body": ""}
    path = write(tmp_path, json.dumps({"interactions": [{"request": asked, "response": answered}]}))
    ((entry,), problems) = read(path)
    assert problems == []
    assert (entry.response.status, entry.response.headers) == (201, (("a", "b"),))
    assert entry.response.body.content == b"hi"


def test_a_packed_body_is_unpacked_and_one_that_was_already_is_left(tmp_path: Path) -> None:
    fields = {"Content-Encoding": ["gzip"]}
    packed = YAML.replace("!!binary iVBORw0KGgo=", "plain").replace("image/png", "image/png, content-encoding: gzip")
    assert read(write(tmp_path, packed))[0][1].response.body.content == b"plain"
    raw = json.dumps({"interactions": [interaction(headers=fields, body={"base64_string": _packed(b"hello")})]})
    assert read(write(tmp_path, raw))[0][0].response.body.content == b"hello"


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content)).decode()


def test_what_is_wrong_is_named_and_left_out(tmp_path: Path) -> None:
    wrong: list[object] = [interaction(), {"request": {}}, None, interaction(status={"code": "x"}), interaction()]
    entries, problems = read(write(tmp_path, json.dumps({"interactions": wrong})))
    assert len(entries) == 2
    assert [problem.partition(":")[0] for problem in problems] == ["interaction 2", "interaction 3", "interaction 4"]


@pytest.mark.parametrize("text", ["interactions: 5", "interactions: [", "version: 1", "interactions:\n\t- x"])
def test_what_is_no_cassette_is_one_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="not a cassette") as error:
        read(write(tmp_path, text))
    assert "\n" not in str(error.value)


def test_it_is_opened_as_any_capture(tmp_path: Path) -> None:
    capture = open_source(write(tmp_path, YAML))
    assert [entry.response.status for entry in capture] == [201, 200]
    assert [entry.response.status for entry in capture] == [201, 200]
    assert not is_cassette(write(tmp_path, '{"log": {"entries": [], "comment": "interactions"}}', "a.har"))
