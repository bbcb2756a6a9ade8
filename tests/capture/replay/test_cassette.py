"""Playing a recording: which entry answers, in which mode, and what a miss says."""

import asyncio
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.model import Body, Request
from proxy_policies.capture.replay.cassette import Cassette, Match, NoMatch, ReplayMode
from proxy_policies.capture.replay.matching import RequestKey, parse_matching, request_key
from proxy_policies.capture.secrets.placeholders import Placeholders

JSON = (("Content-Type", "application/json"),)
FORM = (("Content-Type", "application/x-www-form-urlencoded"),)


def parts(url: str = "/", body: bytes = b"", headers: tuple[tuple[str, str], ...] = (), *ignore: str) -> RequestKey:
    method = "POST" if body else "GET"
    return request_key(Request(method, f"http://shop.test{url}", headers, Body(body)), parse_matching(ignore))


def match(cassette: Cassette, live: RequestKey) -> int | NoMatch:
    """Return the number of the recording that answers, or the miss."""
    found = cassette.match(live)
    return found.number if isinstance(found, Match) else asyncio.run(cassette.explain(live, found))


SECRET = Placeholders(b"k" * 32).of("hunter2-Q9xZ")
DYNAMIC = {
    "uuid": ("/o/0b0fa1a4-9d0b-4f6e-8a53-3c1e4d1c2b3a", "/o/5c9e5ad6-4f9c-49c8-b1b6-3d3e0e4d9b11"),
    "time": ("/?t=2026-01-02T03:04:05Z", "/?t=2026-02-03T04:05:06.7Z"),
    "epoch": ("/?_=1760000000123", "/?_=1760000999456"),
    "token": ("/?r=Wz-zbpjD-jMLZkbxrVhyYQ", "/?r=9f_8sdDq-4kLm3XbT7aVwZ"),
    "hex": ("/?nonce=9f86d081884c7d65", "/?nonce=60303ae22b998861"),
}


@pytest.mark.parametrize(("recorded", "live"), DYNAMIC.values(), ids=DYNAMIC)
def test_dynamic_values_do_not_stop_a_match(recorded: str, live: str) -> None:
    cassette = Cassette()
    cassette.add(parts(recorded))
    assert match(cassette, parts(live)) == 0


def test_an_exact_recording_is_preferred_to_one_that_is_alike() -> None:
    cassette = Cassette()
    cassette.extend(parts(f"/?_=17600000{number}0123") for number in (11, 12, 13))
    assert match(cassette, parts("/?_=17600000120123")) == 1


MODES = {
    ReplayMode.ONCE: [0, 1, "miss"],
    ReplayMode.STRICT: [0, 1, "miss"],
    ReplayMode.NEW: [0, 1, "miss"],
    ReplayMode.LOOP: [0, 1, 0],
}


@pytest.mark.parametrize(("mode", "expected"), MODES.items(), ids=MODES)
def test_recordings_are_used_in_their_order(mode: ReplayMode, expected: list[object]) -> None:
    cassette = Cassette(mode)
    cassette.extend([parts("/a"), parts("/a"), parts("/b")])
    played = [match(cassette, parts("/a")) for _ in range(3)]
    assert ["miss" if isinstance(item, NoMatch) else item for item in played] == expected
    assert 2 in cassette.unused()


def test_a_miss_names_the_nearest_recording_and_what_differs() -> None:
    cassette = Cassette()
    cassette.extend([parts("/users"), parts("/cart?item=7"), parts("/")])
    miss = match(cassette, parts("/cart?item=8"))
    assert isinstance(miss, NoMatch)
    text = 'not recorded; nearest is entry 2, which differs in query: recorded [["item", "7"]], got [["item", "8"]]'
    text += "; it would match with --ignore query:item"
    assert miss.explain() == text


def test_used_up_says_so() -> None:
    cassette = Cassette()
    cassette.add(parts("/a"))
    match(cassette, parts("/a"))
    miss = match(cassette, parts("/a"))
    assert isinstance(miss, NoMatch)
    assert "recorded once, but requested again" in miss.explain()


def test_an_empty_capture_says_so() -> None:
    miss = match(Cassette(), parts("/a"))
    assert isinstance(miss, NoMatch)
    assert miss.explain() == "the capture is empty"


def test_with_another_key_a_placeholder_matches_anything_in_its_place() -> None:
    recorded = parts("/secret_0123456789abcdef/x?token=secret_0123456789abcdef&a=1")
    for any_secret, expected in ((True, 0), (False, NoMatch)):
        cassette = Cassette(any_secret=any_secret)
        cassette.add(recorded)
        played = match(cassette, parts("/plain/x?token=what&a=1"))
        assert played == expected or (expected is NoMatch and isinstance(played, NoMatch))
        assert isinstance(match(cassette, parts("/plain/y?token=what&a=1")), NoMatch)


@given(st.lists(st.sampled_from("abc"), max_size=6), st.lists(st.sampled_from("abc"), max_size=6))
def test_once_never_plays_more_than_was_recorded(recorded: list[str], asked: list[str]) -> None:
    cassette = Cassette()
    cassette.extend(parts(f"/{name}") for name in recorded)
    played = [name for name in asked if isinstance(match(cassette, parts(f"/{name}")), int)]
    assert all(played.count(name) == min(recorded.count(name), asked.count(name)) for name in "abc")


def upload(boundary: str, file: bytes, note: str = "1") -> RequestKey:
    text = f'--{boundary}\r\nContent-Disposition: form-data; name="v"\r\n\r\n{note}\r\n--{boundary}\r\n'
    text += 'Content-Disposition: form-data; name="f"; filename="a.bin"\r\nContent-Type: image/png\r\n\r\n'
    body = text.encode() + file + f"\r\n--{boundary}--\r\n".encode()
    return parts("/", body, (("Content-Type", f"multipart/form-data; boundary={boundary}"),))


OCTETS = {
    "the same bytes": (parts("/", b"\x00\xff\x01"), parts("/", b"\x00\xff\x01"), True),
    "other bytes": (parts("/", b"\x00\xff\x01"), parts("/", b"\x00\xff\x02"), False),
    "the same upload": (upload("x1", b"\x00\xff"), upload("y2", b"\x00\xff"), True),
    "another file": (upload("x1", b"\x00\xff"), upload("y2", b"\x00\xfe"), False),
    "another field": (upload("x1", b"\x00\xff"), upload("y2", b"\x00\xff", "2"), False),
}


@pytest.mark.parametrize(("recorded", "live", "is_answered"), OCTETS.values(), ids=OCTETS)
def test_bytes_must_be_those_that_were_recorded(recorded: RequestKey, live: RequestKey, is_answered: bool) -> None:
    cassette = Cassette()
    cassette.add(recorded)
    assert (match(cassette, live) == 0) is is_answered


@pytest.mark.parametrize("names", DYNAMIC.values(), ids=DYNAMIC)
def test_an_answer_to_another_id_says_so_or_is_refused_when_exact(names: tuple[str, str]) -> None:
    recorded, live = (parts(name) for name in names)
    for exact, expected in ((False, Match), (True, NoMatch)):
        cassette = Cassette(exact=exact)
        cassette.extend([recorded, recorded])
        found = cassette.match(live)
        assert isinstance(found, expected)
        assert found.differences or match(cassette, live)
    assert cassette.match(recorded) == Match(0)


@pytest.mark.parametrize(("mode", "then"), [(ReplayMode.ONCE, [1, 2]), (ReplayMode.LOOP, [1, 2, 0])])
def test_of_several_that_will_do_the_used_come_last(mode: ReplayMode, then: list[int]) -> None:
    cassette = Cassette(mode)
    cassette.extend([parts("/a")] * 3)
    cassette.use(0)
    assert cassette.available([0, 1, 2]) == then
    cassette.use(1)
    cassette.use(2)
    assert cassette.available([0, 1, 2]) == ([] if mode is ReplayMode.ONCE else [0, 1, 2])


def test_memory_does_not_grow_with_the_recordings() -> None:
    few, many = (memory_of(count) for count in (50, 2000))
    assert many < few + 200_000


def memory_of(count: int) -> int:
    """Return the bytes that a cassette takes, without SQLite's cache, which is limited to 2 MiB."""
    tracemalloc.start()
    try:
        cassette = Cassette(any_secret=True)
        cassette.extend(parts(f"/orders/{number}", b'{"password": "%s"}' % SECRET.encode()) for number in range(count))
        assert match(cassette, parts("/orders/7", b'{"password": "plain"}')) == 7
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_the_nearest_of_recordings_with_secrets_in_their_path() -> None:
    cassette = Cassette(any_secret=True)
    cassette.extend([parts("/"), parts(f"/reset/{SECRET}?a=1"), parts(f"/reset/{SECRET}?a=2")])
    assert match(cassette, parts("/reset/plain?a=2")) == 2
    assert match(cassette, parts(f"/reset/{Placeholders(b'x' * 32).of('other-Q9xZ')}?a=1")) == 1
    miss = match(cassette, parts("/reset/plain?a=3"))
    assert isinstance(miss, NoMatch)
    assert miss.nearest == 1


@pytest.mark.parametrize("live", ["/unknown", "/a"])
async def test_others_run_while_the_nearest_of_many_is_looked_for(live: str) -> None:
    cassette, turns = Cassette(), 0
    cassette.extend(parts("/a", b"%d" % number) for number in range(300))

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    miss = await cassette.explain(parts(live, b"299x"), NoMatch(0))
    counting.cancel()
    assert miss.nearest == 0
    assert turns >= 300 // 50
