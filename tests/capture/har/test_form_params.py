"""Bodies of forms that a HAR file has the parameters of only."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.bodies.parsed_body import parse
from proxy_policies.capture.har.entry_reader import read_request
from proxy_policies.capture.har.form_params import Param, form_body
from proxy_policies.capture.model import Body

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=----bB"
values = st.text(st.characters(codec="utf-8"), min_size=1)


@given(st.lists(st.tuples(values, values.map(lambda text: f"{text} %")), min_size=1))
def test_what_was_not_sent_so_is_encoded(pairs: list[tuple[str, str]]) -> None:
    params = [Param(f"{name}&", value) for name, value in pairs]
    sent = parse_qsl(form_body(params, FORM).decode(), keep_blank_values=True)
    assert sent == [(f"{name}&", value) for name, value in pairs]


@pytest.mark.parametrize("value", ["a%20b", "a+b", "plain", "%E2%82%AC", ""])
def test_what_can_have_been_sent_stays(value: str) -> None:
    assert form_body([Param("a", value)], FORM) == f"a={value}".encode()


@pytest.mark.parametrize("media_type", [MULTIPART, 'multipart/form-data; boundary="----bB"'])
def test_an_upload_is_a_multipart(media_type: str) -> None:
    params = [Param("city", "Köln"), Param('a"b', "hi", "ü.txt", "text/plain")]
    body = form_body(params, media_type)
    assert b'name="a%22b"; filename="\xc3\xbc.txt"\r\nContent-Type: text/plain\r\n\r\nhi\r\n------bB--\r\n' in body
    assert len(parse(Body(body), (("Content-Type", media_type),)).value) == 2


def test_it_is_read_of_a_har_file() -> None:
    post = {"mimeType": FORM, "params": [{"name": "city", "value": "Köln & Bonn"}, {"name": "n"}]}
    fields = {"request": {"method": "POST", "url": "http://a.test/", "postData": post}}
    assert read_request(fields, "entry 1").body.content == b"city=K%C3%B6ln+%26+Bonn&n="
