"""What is remembered of traffic that repeats itself changes nothing: the file is the one that is written without."""

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.har import entry_writer, line_framing
from proxy_policies.capture.har.entry_writer import write_entry
from proxy_policies.capture.model import Body, Entry, Request, Response, Times
from proxy_policies.capture.secrets import redaction_cache, sweep_entry
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import Redactor, parse_rules

TOKENS = ("Wz-zbpjD-jMLZkbxrVhyYQ", "hunter2-Q9xZ", "dGhpcyBpcyBub3Qg", "plain")
tokens = st.sampled_from(TOKENS)
lines = st.one_of(
    st.sampled_from([("Accept", "*/*"), ("Host", "shop.test"), ("X-Long", "a b " * 2100), ("", "x"), ("Cookie", "a")]),
    tokens.map(lambda token: ("Cookie", f"sid={token}; theme=dark")),
    tokens.map(lambda token: ("Set-Cookie", f"sid={token}; Path=/")),
    tokens.map(lambda token: ("Authorization", f"Bearer {token}")),
    tokens.map(lambda token: ("Location", f"/next?token={token}&a=b")),
    tokens.map(lambda token: ("X-Echo", f'é"\\{token}')),
)
fields = st.lists(lines, max_size=3).map(tuple)
texts = st.one_of(st.sampled_from(["", "shown", "a b\u2028c\n"]), tokens.map(lambda token: f"it said token={token}"))
contents = st.one_of(
    tokens.map(lambda token: f'{{"token": "{token}", "n": 1}}'.encode()),
    tokens.map(lambda token: f"it is {token}".encode()),
    st.sampled_from([b"", b"\xff\0", b"page " * 500]),
)
mimes = st.sampled_from(["application/json", "text/html; charset=utf-8", "image/png"])
answers = st.builds(
    lambda fields, mime, content, times, trailers: Response(
        200, "OK", (*fields, ("Content-Type", mime)), Body(content, frame_times=times), trailers=trailers
    ),
    fields,
    mimes,
    contents,
    st.sampled_from([(), (), (1.0,), (2.0,)]),
    st.just(()) | fields,
)
urls = tokens.map(lambda token: f"http://shop.test/a?page=2&key={token}")
entries = st.builds(
    lambda url, fields, answer, origin, text: Entry(
        Request("GET", url, fields),
        answer,
        Times(1.0, 2.0),
        origin=origin,
        comment=text,
        error=text,
        trace=({"policy": "cache", "why": text},),
        connection_info={"server_ip": "127.0.0.1", "server": {"address": text}},
    ),
    urls,
    fields,
    answers,
    st.none() | answers,
    texts,
)


def written(some: list[Entry]) -> bytes:
    redactor = Redactor(parse_rules(["header:x-customer", "regex:shown"]), Placeholders(b"k" * 32))
    found = [write_entry(redactor.entry(entry)) for entry in some]
    return b"".join(line_framing.entry_lines(value, first=not number) for number, value in enumerate(found))


@given(st.lists(entries, min_size=1, max_size=3))
def test_the_file_is_the_same_as_without_memory(some: list[Entry]) -> None:
    some = [*some, *some[::-1]]
    with (
        patch.object(redaction_cache._Outcomes, "get", lambda *_: None),
        patch.object(sweep_entry, "MAX_CLEAN", 0),
        patch.object(entry_writer, "_known_head", entry_writer._read_head),
        patch.object(entry_writer, "_known_response", lambda response: entry_writer._response_object(response, None)),
    ):
        expected = written(some)
    assert written(some) == expected
    for token in TOKENS[:2]:  # which are secret in all these places, once they were in one
        assert f"Bearer {token}".encode() not in expected
        assert f"sid={token}".encode() not in expected
