"""What the sides of the proxy have in common."""

from __future__ import annotations

from typing import Any

import pytest
from mitmproxy import options
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http._base import HttpConnection
from mitmproxy.test import tflow

from proxy_policies.patches.sides import MultiplexedSide


def context(*, is_strict: bool = True) -> Context:
    settings = options.Options()
    settings.add_option("validate_inbound_headers", bool, is_strict, "")
    return Context(tflow.tclient_conn(), settings)


class Talkative(HttpConnection):
    """Logs as mitmproxy's sides do."""

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        yield commands.Log("Lowercased 'Via' header as uppercase is not allowed with HTTP/2.")
        yield commands.Log("something else")


class TalkativeSide(MultiplexedSide, Talkative):
    """The same, as one of our sides."""


@pytest.mark.parametrize("is_strict", [True, False])
def test_the_option_says_whether_messages_are_checked(is_strict: bool) -> None:
    at = context(is_strict=is_strict)
    assert TalkativeSide(at, at.client).is_strict is is_strict


def test_fields_that_policies_add_are_not_logged() -> None:
    at = context()
    said: list[Any] = list(TalkativeSide(at, at.client).handle_event(events.Start()))
    assert [command.message for command in said] == ["something else"]
