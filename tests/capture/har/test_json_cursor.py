"""A value of parsed JSON is named by where it stands when it is wrong."""

import pytest

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.har.json_cursor import JsonCursor

VALUE = {"request": {"url": 3, "headers": [{"name": "a"}, {"name": None}], "size": "7", "flag": 1}}


def cursor(problems: list[str] | None = None) -> JsonCursor:
    return JsonCursor(VALUE, "entry 3", problems)


def test_what_is_wrong_is_named_by_its_place() -> None:
    with pytest.raises(CaptureError, match=r"^entry 3, request\.url: expected text, found a number$"):
        cursor()["request"]["url"].text()
    with pytest.raises(CaptureError, match=r"^entry 3, request\.headers\[1\]\.name: expected text, found nothing$"):
        [item["name"].text() for item in cursor()["request"]["headers"]]


def test_problems_are_collected_and_reading_goes_on() -> None:
    problems: list[str] = []
    request = cursor(problems)["request"]
    assert (request["url"].text("none"), request["size"].number(), request["flag"].flag()) == ("none", 7, False)
    assert list(request["url"]) == []
    assert problems == [
        "entry 3, request.url: expected text, found a number",
        "entry 3, request.size: expected a number, found text",
        "entry 3, request.flag: expected true or false, found a number",
        "entry 3, request.url: expected a list, found a number",
    ]


def test_what_is_missing_is_the_default() -> None:
    missing = cursor()["request"]["comment"]
    assert (missing.text(""), missing.number(2), missing.optional_number(), missing.flag(), list(missing)) == (
        *("", 2, None, False),
        [],
    )
