"""In which order both sides of a gRPC call spoke."""

from dataclasses import replace

import pytest
from tests.support.grpc_calls import AT_ONCE, TURNS, call

from proxy_policies.capture.model import Body, Response, Times
from proxy_policies.capture.streams.interleaving import StepKind, client_waits, interleaving, is_interleaved


def test_the_order_is_that_of_the_times() -> None:
    assert [(step.kind, step.data[5:]) for step in interleaving(TURNS)] == [
        (StepKind.CLIENT, b"one"),
        (StepKind.HEAD, b""),
        (StepKind.SERVER, b"ONE"),
        (StepKind.CLIENT, b"two"),
        (StepKind.CLIENT_END, b""),
        (StepKind.SERVER, b"TWO"),
        (StepKind.SERVER_END, b""),
    ]
    assert [(data[5:], count) for data, count in client_waits(TURNS)] == [(b"one", 0), (b"two", 2), (b"", 2)]


def test_what_came_at_the_same_time_is_the_clients_first() -> None:
    same = call({1.0: b"one"}, {1.0: b"ONE"}, Times(1.0, 1.0, 1.0, 1.0))
    kinds = [step.kind for step in interleaving(same)]
    assert kinds == [StepKind.CLIENT, StepKind.CLIENT_END, StepKind.HEAD, StepKind.SERVER, StepKind.SERVER_END]


@pytest.mark.parametrize(("side", "gone"), [("request", StepKind.CLIENT_END), ("response", StepKind.SERVER_END)])
def test_who_left_did_not_end(side: str, gone: StepKind) -> None:
    message = getattr(TURNS, side)
    left = replace(TURNS, **{side: replace(message, body=replace(message.body, cut="client"))})
    assert gone not in [step.kind for step in interleaving(left)]


def test_a_call_is_interleaved_when_its_server_spoke_before_its_client_was_through() -> None:
    assert is_interleaved(TURNS)
    assert not is_interleaved(AT_ONCE)
    assert not is_interleaved(replace(TURNS, request=replace(TURNS.request, headers=())))
    assert not is_interleaved(replace(TURNS, response=Response(0)))
    untimed = replace(TURNS.request, body=Body(TURNS.request.body.content))
    assert not is_interleaved(replace(TURNS, request=untimed))
