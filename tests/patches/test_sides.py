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

from proxy_policies.patches import client_sides
from proxy_policies.patches.sides import MultiplexedSide
from proxy_policies.validity import Invalid


def context(*, is_strict: bool = True) -> Context:
    settings = options.Options()
    settings.add_option("validate_inbound_headers", bool, is_strict, "")
    return Context(tflow.tclient_conn(), settings)


class Talkative(HttpConnection):
    """Logs as mitmproxy's sides do, and like them takes no connection."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, context.client)

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        yield commands.Log("Lowercased 'Via' header as uppercase is not allowed with HTTP/2.")
        yield commands.Log("something else")


class TalkativeSide(MultiplexedSide, Talkative):
    """The same, as one of our sides."""


@pytest.mark.parametrize("is_strict", [True, False])
def test_the_option_says_whether_messages_are_checked(is_strict: bool) -> None:
    at = context(is_strict=is_strict)
    assert TalkativeSide(at).is_strict is is_strict


def test_fields_that_policies_add_are_not_logged() -> None:
    at = context()
    said: list[Any] = list(TalkativeSide(at).handle_event(events.Start()))
    assert [command.message for command in said] == ["something else"]


def test_a_client_is_known_to_be_connected_to_its_side() -> None:
    at = context()
    side = TalkativeSide(at)
    assert client_sides.side_of(at.client) is side


def test_a_refusal_is_logged_with_its_client() -> None:
    side = TalkativeSide(context())
    said: list[Any] = list(side.log_refusal(Invalid("no good")))
    assert [command.message for command in said] == ["127.0.0.1:22: no good"]
