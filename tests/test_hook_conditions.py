"""A policy that promises that a hook does nothing keeps the promise."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from mitmproxy.test import taddons, tflow

from proxy_policies.cache.addon import Cache
from proxy_policies.capture.record.addon import Capture
from proxy_policies.capture.replay.addon import Replay
from proxy_policies.connection.addon import Fastlane
from proxy_policies.explain.addon import Explain
from proxy_policies.flows import flow_state
from proxy_policies.headers.addon import RequestRules, ResponseRules
from proxy_policies.hook_conditions import condition_of
from proxy_policies.proxy_protocol.addon import ProxyProtocol

POLICIES: list[Any] = [Cache, Capture, Replay, RequestRules, ResponseRules, Explain, Fastlane, ProxyProtocol]


def promises() -> Iterator[Any]:
    for policy in POLICIES:
        for name, hook in inspect.getmembers(policy, inspect.isfunction):
            if condition_of(hook):
                yield pytest.param(policy, name, id=f"{policy.name}-{name}")


def facts(state: flow_state.FlowState) -> dict[str, object]:
    parts = {name: getattr(state, name) for name in state.__slots__}
    return {name: bool(part) if name.endswith("_body") else part for name, part in parts.items()}


@pytest.mark.parametrize(("policy", "name"), list(promises()))
async def test_an_idle_hook_changes_nothing(policy: type[Any], name: str) -> None:
    addon = policy()  # never configured: every option is at its default, and nothing is open
    hook = getattr(addon, name)
    condition = condition_of(hook)
    assert condition
    with taddons.context():
        for flow in (tflow.tflow(), tflow.tflow(resp=True), tflow.tflow(err=True), tflow.twebsocketflow()):
            assert not condition(addon)
            before, state = copy.deepcopy(flow.get_state()), facts(flow_state.state_of(flow))
            result = hook({"update": [flow], "client_connected": flow.client_conn}.get(name, flow))
            if inspect.isawaitable(result):
                await result
            assert (flow.get_state(), facts(flow_state.state_of(flow))) == (before, state)
            assert not condition(addon)
