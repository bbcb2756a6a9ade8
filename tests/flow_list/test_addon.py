"""The list of flows while addons run, without a browser."""

import asyncio

import pytest
from mitmproxy import flow
from mitmproxy.addons import view
from mitmproxy.test import taddons, tflow

from proxy_policies.flow_list.addon import BATCH_SIZE, FlowList, parse_count
from proxy_policies.settings import Settings


@pytest.mark.parametrize(("text", "count"), [("1", 1), (" 5000 ", 5000), ("all", None)])
def test_a_number_or_all(text: str, count: int | None) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "many", "1k", "²"])
def test_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="write a number of flows such as 5000, or all"):
        parse_count(text)


async def shortened(shown: view.View) -> None:
    while shown.store_count() > 5:  # noqa: ASYNC110 - the view has no event for it
        await asyncio.sleep(0.01)


async def test_the_oldest_go_once_they_are_over(caplog: pytest.LogCaptureFixture) -> None:
    shown, policy = view.View(), FlowList()
    with taddons.context(Settings([policy]), policy, shown) as context:
        context.configure(policy, web_keep_flows="5")
        flows: list[flow.Flow] = [tflow.tflow(resp=True, live=False) for _ in range(BATCH_SIZE * 2 + 12)]
        flows[0].marked, flows[1].live = ":red_circle:", True
        shown.add(flows)
        policy.running()
        await shortened(shown)
        assert list(shown.resolve("@all")) == [*flows[:2], *flows[-3:]]
        flows[1].live = False
        shown.add([tflow.tflow()])
        await shortened(shown)
        assert list(shown.resolve("@all"))[:2] == [flows[0], flows[-3]]
        context.configure(policy, web_keep_flows="all")
        shown.add(flows[5:50])
        await asyncio.sleep(0.6)
        assert shown.store_count() == 50
        policy.done()
    assert caplog.text.count("the list of flows has reached") == 1


async def test_mitmdump_keeps_none() -> None:
    policy = FlowList()
    with taddons.context(Settings([policy]), policy):
        policy.running()
        assert policy._task is None
        policy.done()
