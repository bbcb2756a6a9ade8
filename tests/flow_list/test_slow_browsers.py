"""What waits for a browser that does not read is bounded, and nothing is lost that it would not ask for anew."""

import asyncio
import json
from typing import Any

from proxy_policies.flow_list import slow_browsers
from proxy_policies.flow_list.slow_browsers import MAX_QUEUED, MAX_QUEUED_BYTES, RESETS, drop_queued


class Browser:
    def __init__(self, *sent: bytes) -> None:
        self._send_queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.filters: dict[str, Any] = {}
        for message in sent:
            self.send(message)

    def send(self, message: bytes) -> None:
        self._send_queue.put_nowait(message)

    def update_filter(self, name: str, expr: str) -> None:
        self.send(f"{name}={expr}".encode())

    @property
    def waiting(self) -> list[bytes]:
        messages = [self._send_queue.get_nowait() for _ in range(self._send_queue.qsize())]
        for message in messages:
            self.send(message)
        return messages


class Expression:
    pattern = "~u x"


def a_message(kind: str, size: int = 0) -> bytes:
    return json.dumps({"type": kind, "payload": "x" * size}).encode()


def test_what_a_browser_will_read_waits_in_order() -> None:
    messages = [a_message("flows/add", number) for number in range(MAX_QUEUED)]
    browser = Browser(*messages)
    assert drop_queued({browser}) == 0
    assert browser.waiting == messages


def test_too_many_or_too_large_messages_are_asked_for_anew() -> None:
    many = [a_message("flows/update")] * MAX_QUEUED
    large = [a_message("events/add", MAX_QUEUED_BYTES // 20)] * 30
    for messages in (many, large):
        option = a_message("options/update")
        browser = Browser(*messages, option)
        browser.filters = {"search": Expression}
        assert drop_queued({browser, Browser()}) == 1
        assert browser.waiting == [option, *RESETS, b"search=~u x"]
        assert drop_queued({browser}) == 0


def test_what_is_not_asked_for_anew_is_bounded_too() -> None:
    options = [a_message("options/update", number) for number in range(MAX_QUEUED + 1)]
    browser = Browser(*options)
    assert drop_queued({browser}) == 1
    assert browser.waiting == [*options[-slow_browsers.MAX_OTHERS :], *RESETS]
