"""Where values stand in messages: read, and written."""

from proxy_policies.capture import locations
from proxy_policies.capture.model import Body, Request

JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
HTML = ("Content-Type", "text/html")


def get(url: str, *fields: tuple[str, str], method: str = "GET", body: bytes = b"") -> Request:
    return Request(method, f"http://shop.test{url}", fields, Body(body))


def test_writing_the_spots_of_a_request_as_they_are_changes_nothing() -> None:
    request = get(
        "/a%20b/17?x=%C3%BC&y=1", ("Cookie", "a=b; c=d"), ("X-T", "v"), FORM, method="POST", body=b"k=v+w&z=1"
    )
    again = locations.set_values(request, {spot.where: spot.value for spot in locations.values_in_request(request)})
    assert again == request
