"""Secrets are compared without being known."""

import json

import pytest

from proxy_policies.capture.check.change import Change
from proxy_policies.capture.check.diff import compare
from proxy_policies.capture.check.secret_pairs import SecretPairs
from proxy_policies.capture.model import Body, Response
from proxy_policies.capture.secrets.placeholders import Placeholders, as_number

KEY = Placeholders(b"k" * 32)
HEX, OTHER_HEX, LONGER = (KEY.of(text) for text in ("a1b2c3d4e5f60718", "0f1e2d3c4b5a6978", "a1b2c3d4e5f60718" * 3))
JWT, UUID = KEY.of("eyJhbGciOi.eyJzdWIi.abc"), KEY.of("550e8400-e29b-41d4-a716-446655440000")
SIXTEEN = KEY.of("ffeeddccbbaa0099")
JSON = (("Content-Type", "application/json"),)
EARLIER = "secret_0123456789abcdef"


def page(*values: object, name: str = "X-Token") -> Response:
    fields = (("Content-Type", "application/json"), *([(name, str(values[0]))] if values[0] is not None else []))
    return Response(200, "OK", fields, Body(json.dumps({"token": values[0], "echo": values[-1]}).encode()))


def two(one: str, other: str, echo: str) -> Response:
    return Response(200, "OK", JSON, Body(json.dumps({"token": one, "refresh": other, "echo": echo}).encode()))


SECRETS = {
    "other value": (page(HEX), page(OTHER_HEX), []),
    "other kind": (page(HEX), page(JWT), ["header:x-token", "json:$.token", "json:$.echo"]),
    "other length": (page(HEX), page(LONGER), ["header:x-token", "json:$.token", "json:$.echo"]),
    "no secret any more": (page(HEX), page("none"), ["header:x-token", "json:$.token", "json:$.echo"]),
    "a secret now": (page("none"), page(HEX), ["header:x-token", "json:$.token", "json:$.echo"]),
    "echo in place of a word": (page(HEX, "x"), page(OTHER_HEX), ["json:$.echo"]),
    "null": (page(HEX), page(HEX, None), ["json:$.echo"]),
    "gone": (page(HEX), page(None, HEX), ["header:x-token", "json:$.token"]),
    "other echo": (page(HEX, HEX), page(OTHER_HEX, UUID), ["json:$.echo"]),
    "echo of the same kind": (page(HEX, HEX), page(OTHER_HEX, KEY.of("ffeeddccbbaa0099")), ["json:$.echo"]),
    "echo of the other": (two(HEX, OTHER_HEX, HEX), two(HEX, OTHER_HEX, OTHER_HEX), ["json:$.echo"]),
    "echo of what was": (two(HEX, OTHER_HEX, HEX), two(SIXTEEN, OTHER_HEX, HEX), ["json:$.echo"]),
    "one for two": (two(HEX, OTHER_HEX, OTHER_HEX), two(HEX, HEX, HEX), ["json:$.refresh", "json:$.echo"]),
    "earlier version": (page(EARLIER), page(HEX), []),
    "earlier version, no secret now": (page(EARLIER), page("bearer"), []),
}


@pytest.mark.parametrize(("old", "new", "places"), SECRETS.values(), ids=SECRETS)
def test_secrets_are_compared_by_kind_and_echo(old: Response, new: Response, places: list[str]) -> None:
    assert [change.location for change in compare(old, new)] == places


def test_a_secret_that_was_sent_is_echoed() -> None:
    pairs = SecretPairs()
    pairs.learn([(HEX, HEX)])
    assert compare(page(HEX), page(HEX), pairs) == []
    assert [change.location for change in compare(page(HEX), page(OTHER_HEX), pairs)] != []


def test_secrets_of_two_responses_may_have_become_one() -> None:
    pairs = SecretPairs()
    assert compare(page(HEX), page(OTHER_HEX), pairs) == compare(page(SIXTEEN), page(OTHER_HEX), pairs) == []
    assert not pairs.are_equal(f"{HEX} {SIXTEEN}", f"{OTHER_HEX} {OTHER_HEX}")


def test_secrets_that_were_not_compared_are_counted() -> None:
    pairs = SecretPairs()
    compare(page(HEX), page(OTHER_HEX), pairs)
    compare(page(HEX), page(OTHER_HEX), pairs)
    assert pairs.count == 6


@pytest.mark.parametrize("location", ["json:$.token", "text:1", "header:x-token"])
def test_another_kind_of_secret_is_not_taken_for_noise(location: str) -> None:
    assert not Change(location, HEX, JWT).is_dynamic


def test_a_line_with_another_time_and_another_secret_of_its_kind_is() -> None:
    assert Change("text:1", f"2026-01-02T03:04:05Z {HEX}", f"2026-01-03T03:04:05Z {OTHER_HEX}").is_dynamic


RAW = "Wz-zbpjD-jMLZkbxrVhyYQ"
TOKEN = KEY.of("Xa-1bpjD-jMLZkbxrVhyYQ")
ONE_SIDED = {
    "in the recording": (page(TOKEN), page(RAW), []),
    "in what came": (page(RAW), page(TOKEN), []),
    "of another kind": (page(JWT), page(RAW), ["header:x-token", "json:$.token", "json:$.echo"]),
    "of another length": (page(KEY.of(RAW * 9)), page(RAW), ["header:x-token", "json:$.token", "json:$.echo"]),
    "a mask instead": (page(TOKEN), page("x" * len(RAW)), ["header:x-token", "json:$.token", "json:$.echo"]),
    "instead of a mask": (page("[FILTERED]"), page(TOKEN), ["header:x-token", "json:$.token", "json:$.echo"]),
    "a word instead": (page(TOKEN), page("anonymous"), ["header:x-token", "json:$.token", "json:$.echo"]),
    "a text instead": (page(TOKEN), page("is too long"), ["header:x-token", "json:$.token", "json:$.echo"]),
    "other echo": (page(TOKEN, TOKEN), page(RAW, RAW[::-1]), ["json:$.echo"]),
    "in a part": (page(f"a={TOKEN}; b=1"), page(f"a={RAW}; b=1"), []),
    "in another part": (
        page(f"a={TOKEN}; b=1"),
        page(f"a={RAW}; b=2"),
        ["header:x-token", "json:$.token", "json:$.echo"],
    ),
}


@pytest.mark.parametrize(("old", "new", "places"), ONE_SIDED.values(), ids=ONE_SIDED)
def test_both_answers_decide_together_what_is_a_secret(old: Response, new: Response, places: list[str]) -> None:
    assert [change.location for change in compare(old, new, SecretPairs(KEY.of))] == places


@pytest.mark.parametrize("value", ["[FILTERED]", "********", "sk_live_...1234", "none"])
def test_what_is_no_secret_any_more_is_the_same_if_it_was_recorded_as_one(value: str) -> None:
    assert compare(page(KEY.of(value)), page(value), SecretPairs(KEY.of)) == []
    assert compare(page(HEX), page(value), SecretPairs(KEY.of)) != []


def test_a_number_is_compared_with_the_placeholder_of_another() -> None:
    fields = (("Content-Type", "application/json"),)
    small, large = (
        Response(200, "", fields, Body(json.dumps({"id": value}).encode()))
        for value in (99999, as_number(KEY.of("100000")))
    )
    assert compare(small, large, SecretPairs(KEY.of)) == compare(large, small, SecretPairs(KEY.of)) == []
    assert compare(large, Response(200, "", fields, Body(b'{"id": 1.5}')), SecretPairs(KEY.of)) != []


def answer(pin: object) -> Response:
    return Response(200, "", (("Content-Type", "application/json"),), Body(json.dumps({"pin": pin}).encode()))


def test_a_number_that_becomes_a_text_is_a_change() -> None:
    digits, number = KEY.of("4711"), as_number(KEY.of("4712"))
    earlier = digits.replace("_digits", "_number")
    assert compare(answer(digits), answer(number), SecretPairs(KEY.of)) != []
    assert compare(answer(number), answer(digits), SecretPairs(KEY.of)) != []
    assert compare(answer(7), answer(digits), SecretPairs(KEY.of)) != []
    for same in (number, digits, 7):
        assert compare(answer(earlier), answer(same), SecretPairs(KEY.of)) == []


BY_CHANCE = [
    *(("ATokenOfLettersOnlyDrawn", "4-token_with_digits-9999"), ("7281936450128374", "72819364a0128374")),
    *(("abcdefabcdef", "xyzdefabcdef"), ("pass word, printable!", "passXword,printable!")),
]


@pytest.mark.parametrize(("one", "other"), BY_CHANCE, ids=lambda text: text[:6])
def test_what_one_generator_draws_is_of_one_kind(one: str, other: str) -> None:
    assert SecretPairs().are_equal(KEY.of(one), KEY.of(other))
    assert SecretPairs().are_equal(KEY.of(other), KEY.of(one))


def test_a_long_hash_is_no_token() -> None:
    assert not SecretPairs().are_equal(KEY.of("0f" * 32), KEY.of("0g" * 32))


KINDS = {
    "hex, then a token": ("9f86d081884c7d659f86d081884c7d65", RAW, False),
    "a token, then hex": (RAW, "9f86d081884c7d659f86d081884c7d65", False),
    "short hex may be a token": ("9f86d081884c7d65", "Wz-zbpjD-jM", True),
    "short hex and a longer token": ("9f86d081884c7d65", RAW, True),
    "hex of digits alone": ("9f86d081884c7d659f86d081884c7d65", "72819364501283747281936450128374", True),
}


@pytest.mark.parametrize(("old", "new", "expected"), KINDS.values(), ids=KINDS)
def test_kinds_that_no_chance_makes_alike_are_told_apart(old: str, new: str, expected: bool) -> None:
    assert SecretPairs().are_equal(KEY.of(old), KEY.of(new)) is expected
