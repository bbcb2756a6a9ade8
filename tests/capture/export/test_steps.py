"""A capture as steps of a script."""

from proxy_policies.capture.export.steps import script_of, split_markers
from proxy_policies.capture.model import Body, Entry, Request, Response, Times
from proxy_policies.capture.secrets.placeholders import Placeholders

KEY = Placeholders(b"k" * 32)
JSON = ("Content-Type", "application/json")


def test_steps_are_in_the_order_of_their_time_and_without_conversations() -> None:
    entries = [
        Entry(Request("GET", "http://a.test/2"), Response(200), Times(2.0)),
        Entry(Request("GET", "http://a.test/ws"), Response(101, "", (("Upgrade", "websocket"),)), Times(1.5)),
        Entry(Request("GET", "http://a.test/1"), Response(200), Times(1.0)),
        Entry(Request("GET", "http://b.test/3"), Response(200), Times(3.0)),
        Entry(Request("GET", "http://a.test/4"), Response(0), Times(4.0)),
    ]
    script = script_of(entries)
    assert script.origin == "http://a.test"
    assert [step.path for step in script.steps] == ["/1", "/2", "http://b.test/3"]


def test_a_secret_from_no_response_is_read_from_the_environment() -> None:
    body = f'{{"user": "joe", "new-password": "{KEY.of("hunter2-Q9x")}"}}'
    script = script_of(
        [Entry(Request("POST", "http://a.test/", (JSON,), Body(body.encode())), Response(200), Times(1.0))]
    )
    assert script.secrets == ("NEW_PASSWORD",)
    assert ("NEW_PASSWORD", True) in list(split_markers(script.steps[0].text or ""))


def test_nothing_is_no_steps() -> None:
    assert script_of([]).steps == ()
    assert list(split_markers("")) == [("", False)]
