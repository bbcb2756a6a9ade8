"""Secret numbers are numbers when they are replayed, and known again when they are sent back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.model import Body, Entry, Request, Response, Times, WebSocketMessage
from proxy_policies.capture.replay.matching import Matching, request_key
from proxy_policies.capture.replay.stand_ins import stand_in, with_numbers
from proxy_policies.capture.secrets.placeholders import Placeholders, as_number
from proxy_policies.capture.secrets.redact import Redactor, parse_rules

KEY = Placeholders(b"k" * 32)
JSON = (("Content-Type", "application/json"),)


def redactor() -> Redactor:
    return Redactor(parse_rules(()), KEY)


@given(st.integers(10, 10**24))
def test_a_number_is_a_positive_one_of_its_length_class(secret: int) -> None:
    number = stand_in(as_number(KEY.of(str(secret))))
    assert number.isdigit()
    assert not number.startswith("0")
    assert len(number) in (8, 16, 18)
    assert len(number) != 16 or int(float(number)) == int(number) < 2**53
    assert number == stand_in(as_number(KEY.of(str(secret))))


def exchange(pin: int) -> Entry:
    document = {"pin": pin, "text": str(pin), "inner": json.dumps({"pin": pin}), "max_tokens": 5}
    return Entry(
        Request("POST", f"http://shop.test/?pin={pin}", JSON, Body(json.dumps({"pin": pin}).encode())),
        Response(200, "", JSON, Body(json.dumps(document).encode())),
        Times(1.0),
        messages=(
            WebSocketMessage(True, True, b'{"pin": %d}' % pin, 1.0),
            WebSocketMessage(False, True, b'{"pin": %d}' % pin, 1.0),
        ),
    )


def test_it_is_a_number_in_responses_and_in_what_is_in_them() -> None:
    recorded = redactor().entry(exchange(4711))
    stand_ins: dict[str, str] = {}
    played = with_numbers(recorded, stand_ins)
    answer = json.loads(played.response.body.content)
    number = int(stand_in(as_number(KEY.of("4711"))))
    assert (answer["pin"], json.loads(answer["inner"])["pin"], answer["max_tokens"]) == (number, number, 5)
    assert json.loads(played.messages[1].data) == {"pin": number}
    assert (played.request, played.messages[0]) == (recorded.request, recorded.messages[0])
    assert stand_ins == {str(number): KEY.of("4711")}


@pytest.mark.parametrize("key", [KEY, Placeholders(b"x" * 32)], ids=["own key", "another key"])
def test_a_client_may_send_it_back(key: Placeholders) -> None:
    live = redactor()
    recorded = Redactor(parse_rules(()), key).entry(exchange(4711))
    answer = json.loads(with_numbers(recorded, live.stand_ins).response.body.content)
    asked = live.request_swept(exchange(answer["pin"]).request)
    assert request_key(asked, Matching()) == request_key(recorded.request, Matching())


def test_other_entries_are_the_same() -> None:
    entry = redactor().entry(Entry(Request("GET", "http://a.test/"), Response(200, body=Body(b"_num008")), Times(1.0)))
    assert with_numbers(entry, {}) == entry
