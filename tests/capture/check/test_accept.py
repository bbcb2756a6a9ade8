"""What came as the new baseline: what changed of it, and nothing else."""

import json
from typing import Any

import pytest

from proxy_policies.capture.check.accept import Acceptance, accept, refusal_reason
from proxy_policies.capture.check.diff import compare
from proxy_policies.capture.check.secret_pairs import SecretPairs
from proxy_policies.capture.check.unordered import Unordered
from proxy_policies.capture.model import Body, Entry, Headers, Request, Response, Times
from proxy_policies.capture.secrets.placeholders import Placeholders

KEY = Placeholders(b"k" * 32)
OLD, NEW = KEY.of("Wz-zbpjD-jMLZkbxrVhyYQ"), KEY.of("Xa-1bpjD-jMLZkbxrVhyYQ")


def response(document: Any, *fields: tuple[str, str], status: int = 200) -> Response:
    headers = (("Content-Type", "application/json"), *fields)
    return Response(status, "", headers, Body(json.dumps(document).encode()))


def accepted(old: Response, new: Response, what: Acceptance) -> Response:
    return accept(Entry(Request("GET", "http://a.test/"), old, Times(1.0)), new, 0.5, what).response


def test_only_what_changed_is_taken_from_a_document() -> None:
    old = {"id": 100, "at": "2026-01-01", "total": 5, "gone": 1, "items": [{"n": 1, "at": 1}, {"n": 2, "at": 2}]}
    new = {
        "id": 700,
        "at": "2026-02-02",
        "total": 6,
        "new": {"token": NEW},
        "items": [{"n": 1, "at": 8}, {"n": 3, "at": 9}],
    }
    places = {"json:$.total", "json:$.gone", "json:$.new", "json:$.items[1].n"}
    pairs = SecretPairs()
    pairs.learn([(OLD, NEW)])
    done = accepted(response(old), response(new), Acceptance(places, restore=pairs.restore))
    assert json.loads(done.body.content) == {
        **{"id": 100, "at": "2026-01-01", "total": 6, "new": {"token": OLD}},
        "items": [{"n": 1, "at": 1}, {"n": 3, "at": 2}],
    }


def test_a_number_in_place_of_a_boolean_is_not_accepted_with_another_change() -> None:
    old, new = response({"ok": True, "n": 1}), response({"ok": 1, "n": 2})
    assert accepted(old, new, Acceptance({"json:$.n"})).body.content == b'{"ok": true, "n": 2}'


def test_what_a_later_request_hands_back_stays() -> None:
    what = Acceptance({"json:$.id", "json:$.n"}, linked={"json:$.id"})
    done = accepted(response({"id": 100, "n": 1}), response({"id": 700, "n": 2}), what)
    assert json.loads(done.body.content) == {"id": 100, "n": 2}


def test_a_list_in_another_order_keeps_its_order() -> None:
    old, new = {"tags": [{"id": 1, "n": 1}, {"id": 2, "n": 2}]}, {"tags": [{"id": 2, "n": 2}, {"id": 1, "n": 9}]}
    done = accepted(response(old), response(new), Acceptance({"json:$.tags[0].n"}, (), [Unordered("$.tags", "id")]))
    assert json.loads(done.body.content) == {"tags": [{"id": 1, "n": 9}, {"id": 2, "n": 2}]}


def test_a_longer_list_is_taken_whole() -> None:
    done = accepted(response({"a": [1]}), response({"a": [1, 2]}), Acceptance({"json:$.a[1]"}))
    assert json.loads(done.body.content) == {"a": [1, 2]}


def test_status_fields_and_cookies_are_taken_where_they_changed() -> None:
    old: Headers = (("Date", "1"), ("X-A", "1"), ("X-B", "1"), ("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=1"))
    new: Headers = (
        ("Date", "2"),
        ("X-A", "2"),
        ("X-C", "2"),
        ("Set-Cookie", "a=2; Path=/; Secure"),
        ("Set-Cookie", "b=2"),
    )
    what = Acceptance({"status", "header:x-a", "header:x-b", "header:x-c", "cookie:a"})
    done = accepted(Response(200, "OK", old), Response(201, "Created", new), what)
    assert (done.status, done.reason) == (201, "Created")
    assert done.headers == (
        *(("Date", "1"), ("X-A", "2"), ("Set-Cookie", "a=2; Path=/; Secure"), ("Set-Cookie", "b=1"), ("X-C", "2")),
    )


def test_a_text_is_taken_whole_with_the_recorded_secrets() -> None:
    pairs = SecretPairs()
    pairs.learn([(OLD, NEW)])
    html = (("Content-Type", "text/html"),)
    old, new = Response(200, "", html, Body(b"<p>a")), Response(200, "", html, Body(f"<p>b {NEW}".encode()))
    assert accepted(old, new, Acceptance({"text:1"}, restore=pairs.restore)).body.content == f"<p>b {OLD}".encode()


JSON = (("Content-Type", "application/json"),)
LATIN, UTF8 = ((("Content-Type", f"text/plain; charset={name}"),) for name in ("iso-8859-1", "utf-8"))
WHOLE = {
    "a trailer": (Response(200, trailers=(("X-Sum", "1"),)), Response(200, trailers=(("x-sum", "2"),))),
    "no trailer": (Response(200, trailers=(("X-Sum", "1"),)), Response(200)),
    "digits": (
        Response(200, "", JSON, Body(b'{"a":0.1}')),
        Response(200, "", JSON, Body(b'{"a":0.10000000000000001}')),
    ),
    "a member twice": (Response(200, "", JSON, Body(b'{"a":2}')), Response(200, "", JSON, Body(b'{"a":1,"a":2}'))),
    "half a character": (
        Response(200, "", JSON, Body(rb'{"a":"\ud800","at":"2026-11-28"}')),
        Response(200, "", JSON, Body(rb'{"a":"\ud801","at":"2026-11-29"}')),
    ),
    "another charset": (
        Response(200, "", LATIN, Body("é".encode("latin-1"))),
        Response(200, "", UTF8, Body("é".encode())),
    ),
    "the same bytes in another charset": (
        Response(200, "", JSON, Body('"é"'.encode())),
        Response(200, "", (("Content-Type", "application/json; charset=iso-8859-1"),), Body('"é"'.encode())),
    ),
    "a cookie without a value": (Response(200), Response(200, "", (("Set-Cookie", "seen; Path=/"),))),
}


@pytest.mark.parametrize(("old", "new"), WHOLE.values(), ids=WHOLE)
def test_what_was_accepted_is_no_change_any_more(old: Response, new: Response) -> None:
    changes = [change.location for change in compare(old, new) if not change.location.endswith("at")]
    assert changes
    left = compare(accepted(old, new, Acceptance(changes)), new)
    assert [change.location for change in left if not change.location.endswith("at")] == []


def test_the_time_is_taken_when_it_counted() -> None:
    entry = Entry(Request("GET", "http://a.test/"), Response(200), Times(1.0, response_end=1.1))
    assert accept(entry, Response(200), 0.5, Acceptance({"time"})).times.seconds == 0.5
    assert accept(entry, Response(200), 0.5, Acceptance({"status"})).times == entry.times


def test_a_conversation_is_not_accepted() -> None:
    entry = Entry(Request("GET", "http://a.test/"), Response(101, "", (("Upgrade", "websocket"),)), Times(1.0))
    assert "record it again" in refusal_reason(entry)
    assert refusal_reason(Entry(Request("GET", "http://a.test/"), Response(200), Times(1.0))) == ""
