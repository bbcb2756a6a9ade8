"""Hooks asked inline: the same commands, and the same order of what follows."""

from collections.abc import Iterator

import pytest
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._hooks import HttpRequestHook, HttpResponseHook
from mitmproxy.proxy.layers.tcp import TcpMessageHook
from mitmproxy.test import taddons, tflow

from proxy_policies.dispatch.inline_hooks import Inline


class Talks(layer.Layer):
    """Says what it does: two hooks, of which it waits for the first, and one that it never waits for."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield commands.Log(f"begins {type(event).__name__}")
        yield HttpRequestHook(tflow.tflow())
        yield commands.Log("the first is through")
        told = TcpMessageHook(tflow.ttcpflow())
        told.blocking = False
        yield told
        yield HttpResponseHook(tflow.tflow())
        yield commands.Log("ends")


@pytest.fixture
def talks() -> Iterator[Talks]:
    with taddons.context() as context:
        yield Talks(Context(tflow.tclient_conn(), context.options))


def said(given: list[commands.Command]) -> list[str]:
    return [command.message if isinstance(command, commands.Log) else type(command).__name__ for command in given]


def test_hooks_that_are_through_are_not_given(talks: Talks) -> None:
    asked: list[str] = []

    def ask(hook: commands.StartHook) -> bool:
        asked.append(hook.name)
        return True

    given = list(Inline(talks, ask).handle_event(events.Start()))
    assert said(given) == ["begins Start", "the first is through", "ends"]
    assert asked == ["request", "tcp_message", "response"]


def test_what_has_to_wait_is_given_and_ends_as_stock_has_it(talks: Talks) -> None:
    inline = Inline(talks, lambda hook: hook.name != "request")
    given = list(inline.handle_event(events.Start()))
    assert said(given) == ["begins Start", "HttpRequestHook"]
    hook = given[-1]
    assert isinstance(hook, HttpRequestHook)
    assert said(list(inline.handle_event(events.HookCompleted(hook)))) == ["the first is through", "ends"]


def test_all_else_is_the_layers(talks: Talks) -> None:
    assert Inline(talks, lambda _: True).context is talks.context
