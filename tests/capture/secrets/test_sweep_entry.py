"""Known secrets are found in every part of an entry, also in one that had none of those known before."""

from dataclasses import replace

import pytest

from proxy_policies.capture.model import Body, Entry, Request, Response, Times
from proxy_policies.capture.secrets import sweep_entry
from proxy_policies.capture.secrets.known_secrets import KnownSecrets
from proxy_policies.capture.secrets.sweep_entry import SearchedTexts

SECRET = "aB3-xY7-zQ9w-kLm"
TEXT = Response(200, "OK", (("Content-Type", "text/plain"),), Body(f"it is {SECRET}".encode()))
PLAIN = Response(200, "OK", (), Body(b"nothing"))


def an_entry(response: Response, origin: Response | None = None) -> Entry:
    return Entry(Request("GET", "http://a.test/"), response, Times(1.0), origin=origin)


IN = {
    "a body": an_entry(TEXT),
    "a field": an_entry(replace(PLAIN, headers=(("X-Echo", SECRET),))),
    "what the origin sent": an_entry(PLAIN, TEXT),
    "a field of the origin's": an_entry(PLAIN, replace(PLAIN, headers=(("X-Echo", SECRET),))),
    "a large body": an_entry(replace(TEXT, body=Body(TEXT.body.content * 1000))),
    "the request": replace(an_entry(PLAIN), request=Request("GET", f"http://a.test/{SECRET}")),
    "a remark": replace(an_entry(PLAIN), comment=SECRET),
}


@pytest.mark.parametrize("entry", IN.values(), ids=IN)
@pytest.mark.parametrize("limit", [0, 1, 512])
def test_a_secret_that_is_known_later_is_found(entry: Entry, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_entry, "MAX_CLEAN", limit)
    searched, known = SearchedTexts(), KnownSecrets()
    known.add("another-zQ9w-kLm", "<another>")
    assert searched.within(entry, known) == searched.within(entry, known) == []
    known.add(SECRET, "<secret>")
    assert searched.within(entry, known) == searched.within(entry, known) == [(SECRET, "<secret>")]
    assert SECRET not in str(sweep_entry.sweep_entry(entry, [(SECRET, "<secret>")]))
