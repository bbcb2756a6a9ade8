"""A capture as a script for k6."""

import subprocess
from pathlib import Path

from tests.support.programs import need

from proxy_policies.capture.export.k6 import k6_script
from proxy_policies.capture.model import Body, Entry, Request, Response, Times

JSON = ("Content-Type", "application/json")


def test_it_is_javascript_that_carries_values_over(tmp_path: Path) -> None:
    page = Body(b'<input name="csrf" value="Xa-1bpjD-jMLZkbxrVhyYQ">')
    fields = (("Content-Type", "text/html"), ("Set-Cookie", "sid=Wz-zbpjD-jMLZkbxrVhyYQ"), ("X-Next-Id", "abc12def"))
    cookie = (("Cookie", "sid=Wz-zbpjD-jMLZkbxrVhyYQ"), JSON)
    body = Body(b'{"csrf": "Xa-1bpjD-jMLZkbxrVhyYQ", "q": "`${1}"}')
    entries = [
        Entry(Request("GET", "http://a.test/"), Response(200, "", fields, page), Times(1.0)),
        Entry(
            Request("POST", "http://a.test/x/abc12def", cookie, body),
            Response(201, "", (JSON,), Body(b'{"a": [{"id": 17}]}')), Times(2.0),
        ),
        Entry(Request("PUT", "http://a.test/orders/17", (), Body(b"\xff\0")), Response(204), Times(3.0)),
    ]  # fmt: skip
    text = "".join(k6_script(entries))
    assert 'response.cookies["sid"][0].value' in text
    assert 'response.headers["X-Next-Id"]' in text
    assert 'response.json()["a"][0]["id"]' in text
    assert 'target + "/orders/" + v' in text
    path = tmp_path / "script.mjs"
    path.write_text(text)
    done = subprocess.run([need("node"), "--check", str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
