"""Recorded gRPC calls by their heads."""

from dataclasses import replace

import pytest
from tests.support.grpc_calls import AT_ONCE, TURNS, message

from proxy_policies.capture.model import Body, Request
from proxy_policies.capture.replay.call_index import CallIndex
from proxy_policies.capture.replay.interleaved import NotRecorded
from proxy_policies.capture.replay.matching import Matching, parse_matching
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import Redactor, parse_rules
from proxy_policies.capture.streams.interleaving import StepKind

LIVE = replace(TURNS.request, body=Body())


def index_of(*entries: object, exact: bool = False, matching: Matching | None = None) -> CallIndex:
    redactor = Redactor(parse_rules(()), Placeholders(b"k" * 32))
    made = CallIndex(entries, redactor, matching or parse_matching(()), exact)  # type: ignore[arg-type]
    for number, entry in enumerate(entries):
        made.add(number, entry.request)  # type: ignore[attr-defined]
    return made


def test_a_head_counts_when_one_of_its_calls_went_by_turns() -> None:
    assert index_of(AT_ONCE, TURNS).contains(LIVE)
    assert index_of(AT_ONCE, TURNS).numbers(LIVE) == [0, 1]
    assert not index_of(AT_ONCE).contains(LIVE)
    assert not index_of().contains(LIVE)
    assert not index_of(TURNS).may_contain(replace(LIVE, headers=()))
    assert not index_of(TURNS).contains(replace(LIVE, url="https://a.test/S/Other"))
    assert not index_of(TURNS).contains(replace(LIVE, headers=()))


@pytest.mark.parametrize("exact", [False, True])
def test_ids_may_be_others_unless_they_are_to_be_exact(exact: bool) -> None:
    old, new = b"\x0a\x24c6095edd-963b-4dba-8626-d382593e0f67", b"\x0a\x242f0a7c51-1b2c-4d3e-9f40-5a6b7c8d9e0f"
    body = Body(message(old), frame_times=(1.0,))
    recorded = replace(TURNS, request=replace(TURNS.request, body=body))
    call = index_of(recorded, exact=exact).call(LIVE, [0])
    if exact:
        with pytest.raises(NotRecorded):
            call.on_client_step(StepKind.CLIENT, message(new))
    else:
        call.on_client_step(StepKind.CLIENT, message(new))
        assert "recorded" in call.differences[0]


def test_what_does_not_count_is_not_compared() -> None:
    matching = parse_matching(['json:$.messages[*]["1"]'])
    body = Body(message(b"\x0a\x03one"), frame_times=(1.0,))
    recorded = replace(TURNS, request=replace(TURNS.request, body=body))
    call = index_of(recorded, matching=matching).call(LIVE, [0])
    call.on_client_step(StepKind.CLIENT, message(b"\x0a\x03two"))
    assert call.differences == []


def test_secrets_of_live_messages_are_those_of_the_recording() -> None:
    token = b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ0ZXN0In0.c2lnbmF0dXJlLXNpZw"
    redactor = Redactor(parse_rules(()), Placeholders(b"k" * 32))
    plain = Request(
        LIVE.method, LIVE.url, LIVE.headers, Body(message(b"\x0a" + bytes([len(token)]) + token), frame_times=(1.0,))
    )
    recorded = replace(TURNS, request=redactor.request_swept(plain))
    call = index_of(recorded).call(LIVE, [0])
    call.on_client_step(StepKind.CLIENT, plain.body.content)
    assert call.differences == []
