"""The view, the comment and the command."""

import io
from typing import Any

import pytest
from mitmproxy import contentviews
from mitmproxy.addonmanager import Loader
from mitmproxy.addons import dumper, view
from mitmproxy.proxy.layers.http._hooks import HttpResponseHook
from mitmproxy.test import taddons, tflow

from proxy_policies import trace
from proxy_policies.explain.addon import Explain
from proxy_policies.fields import NO_FIELDS
from proxy_policies.flows import flow_state


@pytest.fixture
def explain() -> Any:
    addon = Explain()
    with taddons.context(addon):
        yield addon
        addon.done()


def test_the_view_is_there_from_load_to_done() -> None:
    addon = Explain()
    with taddons.context(addon):
        assert "policy" in contentviews.registry.available_views()
        addon.done()
        assert "policy" not in contentviews.registry.available_views()


def test_a_view_that_took_its_place_stays() -> None:
    first, second = Explain(), Explain()
    with taddons.context(first) as context:
        second.load(Loader(context.master))
        first.done()
        assert "policy" in contentviews.registry.available_views()
        second.done()
        assert "policy" not in contentviews.registry.available_views()


def test_the_view_tells_the_story_and_is_never_chosen_by_itself(explain: Explain) -> None:
    flow = tflow.tflow(resp=True)
    trace.note(flow, "cache", "hit", "fresh for 57 s")
    assert flow.response
    shown = contentviews.prettify_message(flow.response, flow, "policy")
    assert (shown.text, shown.view_name) == ("cache  hit: fresh for 57 s", "Policy")
    assert contentviews.prettify_message(flow.response, flow).view_name != "Policy"


def test_the_comment_is_the_verdict(explain: Explain) -> None:
    flow = tflow.tflow(resp=True)
    trace.note(flow, "cache", "miss")
    explain.conclude(flow)
    assert flow.comment == "miss · cache: miss"
    trace.note(flow, "cache", "stored")
    explain.conclude(flow)
    assert flow.comment == "miss · cache: stored"


def test_a_users_comment_is_never_touched(explain: Explain) -> None:
    flow = tflow.tflow(resp=True)
    flow.comment = "look at this"
    trace.note(flow, "cache", "miss")
    explain.conclude(flow)
    assert flow.comment == "look at this"
    mine = tflow.tflow(resp=True)
    trace.note(mine, "cache", "miss")
    explain.conclude(mine)
    mine.comment = "cache: miss, but why?"
    explain.error(mine)
    assert mine.comment == "cache: miss, but why?"


def test_tunnels_are_commented_too(explain: Explain) -> None:
    tunnel = tflow.ttcpflow()
    trace.note(tunnel, "passthrough", "untouched")
    explain.tcp_start(tunnel)
    assert tunnel.comment == "untouched · passthrough: untouched"


FAILURES = {
    "the origin cannot be reached": (None, False, "failed"),
    "the origin breaks off in its response": ("origin", False, "failed"),
    "the client leaves": ("origin", True, "client left"),
    "another addon answers": ("addon", False, ""),
    "a stale response stands in": ("stale", False, ""),
}


@pytest.mark.parametrize(("response", "left", "verdict"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_explained(explain: Explain, response: str | None, left: bool, verdict: str) -> None:
    flow = tflow.tflow(resp=response is not None, err=True)
    state = flow_state.state_of(flow)
    state.client_left = left
    if response in ("origin", "stale"):
        state.origin = flow_state.OriginHead(200, "OK", NO_FIELDS, "HTTP/1.1")
    if response == "stale":
        trace.note(flow, "cache", "stale", "the origin failed")
    explain.error(flow)
    assert [note["verdict"] for note in trace.notes(flow) if note["policy"] == "proxy"] == (
        [verdict] if verdict else []
    )


def test_a_client_that_we_disconnect_has_not_left(explain: Explain) -> None:
    flow = tflow.tflow(resp=True, err=True)
    state = flow_state.state_of(flow)
    state.client_left, state.origin = True, flow_state.OriginHead(200, "OK", NO_FIELDS, "HTTP/1.1")
    flow.client_conn.error = "the proxy has ended"
    explain.error(flow)
    assert [note["verdict"] for note in trace.notes(flow) if note["policy"] == "proxy"] == ["failed"]


def test_a_connect_that_is_refused_says_why(explain: Explain) -> None:
    flow = tflow.tflow(resp=True)
    flow.server_conn.error = "cannot connect to 192.0.2.1:443"
    explain.http_connect_error(flow)
    assert explain.explain([flow])[1] == "  proxy  refused: cannot connect to 192.0.2.1:443"


async def test_the_command_tells_the_story() -> None:
    addon = Explain()
    with taddons.context(addon, view.View()) as context:
        flow = tflow.tflow(resp=True)
        trace.note(flow, "cache", "hit", "fresh for 57 s")
        context.master.addons.get("view").add([flow, tflow.ttcpflow()])
        assert context.master.commands.execute("policy.explain @all") == [
            "GET http://address:22/path",
            "  cache  hit: fresh for 57 s",
            "tcp address:22",
            "  No policy has decided anything about this flow.",
        ]
        addon.done()


@pytest.mark.parametrize(("detail", "printed"), [(1, False), (2, True), (3, True)])
async def test_the_story_stands_under_the_flow_in_mitmdump(detail: int, printed: bool) -> None:
    out, addon = io.StringIO(), Explain()
    with taddons.context(addon, dumper.Dumper(out)) as context:
        context.configure(context.master.addons.get("dumper"), flow_detail=detail)
        flow = tflow.tflow(resp=True)
        trace.note(flow, "cache", "hit", "fresh for 57 s")
        addon.conclude(flow)
        await context.master.addons.handle_lifecycle(HttpResponseHook(flow))
        assert ("    cache  hit: fresh for 57 s" in out.getvalue().splitlines()[-1]) is printed
        addon.update([flow])
        assert out.getvalue().count("fresh for") == printed
        addon.done()
