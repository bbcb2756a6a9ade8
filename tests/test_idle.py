"""A policy that promises that a hook does nothing keeps the promise."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from mitmproxy.test import taddons, tflow

from proxy_policies import exchange
from proxy_policies.cache.addon import Cache
from proxy_policies.capture.record.addon import Capture
from proxy_policies.capture.replay.addon import Replay
from proxy_policies.explain.addon import Explain
from proxy_policies.fastlane.addon import Fastlane
from proxy_policies.headers.addon import RequestRules, ResponseRules
from proxy_policies.idle import promised
from proxy_policies.proxy_protocol.addon import ProxyProtocol

POLICIES: list[Any] = [Cache, Capture, Replay, RequestRules, ResponseRules, Explain, Fastlane, ProxyProtocol]


def promises() -> Iterator[Any]:
    for policy in POLICIES:
        for name, hook in inspect.getmembers(policy, inspect.isfunction):
            if promised(hook):
                yield pytest.param(policy, name, id=f"{policy.name}-{name}")


def facts(known: exchange.Exchange) -> dict[str, object]:
    parts = {name: getattr(known, name) for name in known.__slots__}
    return {name: bool(part) if name.endswith("_body") else part for name, part in parts.items()}


@pytest.mark.parametrize(("policy", "name"), list(promises()))
async def test_an_idle_hook_changes_nothing(policy: type[Any], name: str) -> None:
    addon = policy()  # never configured: every option is at its default, and nothing is open
    hook = getattr(addon, name)
    is_needed = promised(hook)
    assert is_needed
    with taddons.context():
        for flow in (tflow.tflow(), tflow.tflow(resp=True), tflow.tflow(err=True), tflow.twebsocketflow()):
            assert not is_needed(addon)
            before, known = copy.deepcopy(flow.get_state()), facts(exchange.of(flow))
            result = hook({"update": [flow], "client_connected": flow.client_conn}.get(name, flow))
            if inspect.isawaitable(result):
                await result
            assert (flow.get_state(), facts(exchange.of(flow))) == (before, known)
            assert not is_needed(addon)
