"""The content view that shows what policies did with a flow."""

from mitmproxy import contentviews
from mitmproxy.test import tflow

from proxy_policies import trace
from proxy_policies.explain import formatting, view


def test_it_shows_the_decisions_about_a_flow() -> None:
    flow = tflow.tflow()
    trace.note(flow, "encoding", "zstd", "the client accepts it")
    shown = view.PolicyView().prettify(b"", contentviews.Metadata(flow=flow))
    assert "zstd" in shown
    assert "the client accepts it" in shown


def test_without_a_flow_there_is_nothing_to_show() -> None:
    assert view.PolicyView().prettify(b"", contentviews.Metadata()) == formatting.NOTHING


def test_it_is_never_chosen_for_its_content() -> None:
    assert view.PolicyView().render_priority(b"{}", contentviews.Metadata()) < 0


def test_one_that_took_its_place_stays() -> None:
    ours, other = view.PolicyView(), view.PolicyView()
    contentviews.registry.register(ours)
    contentviews.registry.register(other)
    view.unregister(ours)
    assert contentviews.registry["policy"] is other
    view.unregister(other)
    assert "policy" not in contentviews.registry
