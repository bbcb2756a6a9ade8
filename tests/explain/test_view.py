"""The content view that shows what policies did with a flow."""

from collections.abc import Iterator

import pytest
from mitmproxy import contentviews, http
from mitmproxy.test import taddons, tflow, tutils

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


@pytest.fixture
def first() -> Iterator[view.PolicyView]:
    shown = view.PolicyView(is_first=True)
    contentviews.registry.register(shown)
    with taddons.context():
        yield shown
    view.unregister(shown)


CONTENTS = {
    "JSON": ("application/json", b'{"a": 1}', '--- JSON\n{\n    "a": 1\n}', "yaml"),
    "a page": ("text/html", b"<p>words</p>", "--- XML/HTML\n<p>words</p>", "xml"),
    "plain text": ("text/plain", b"words", "--- Raw\nwords", "none"),
    "what is no JSON": ("application/json", b"{{{", "{{{", "none"),
    "nothing": ("text/plain", b"", "", "none"),
    "very much": ("text/html", b"<p>" * view.MAX_CONTENT, "<p><p>", "none"),
}


@pytest.mark.parametrize(("kind", "content", "shown", "highlight"), CONTENTS.values(), ids=CONTENTS)
def test_where_it_is_first_the_content_stands_below(
    first: view.PolicyView, kind: str, content: bytes, shown: str, highlight: str
) -> None:
    flow = tflow.tflow(resp=tutils.tresp(content=content, headers=http.Headers(content_type=kind)))
    assert flow.response
    assert first.render_priority(content, contentviews.Metadata(flow=flow, http_message=flow.response)) < 0
    trace.note(flow, "cache", "hit", "fresh for 57 s")
    found = contentviews.prettify_message(flow.response, flow)
    story, _, below = found.text.partition("\n\n")
    assert (found.view_name, story) == ("Policy", "cache  hit: fresh for 57 s")
    assert below.startswith(shown)
    assert len(below) <= view.MAX_CONTENT
    assert found.syntax_highlight == highlight
    assert first.render_priority(content, contentviews.Metadata(flow=flow, http_message=flow.request)) < 0


def test_messages_of_a_websocket_are_shown_as_they_are(first: view.PolicyView) -> None:
    flow = tflow.twebsocketflow()
    trace.note(flow, "cache", "hit")
    assert flow.websocket
    assert contentviews.prettify_message(flow.websocket.messages[0], flow).view_name != "Policy"


def test_one_that_took_its_place_stays() -> None:
    ours, other = view.PolicyView(), view.PolicyView()
    contentviews.registry.register(ours)
    contentviews.registry.register(other)
    view.unregister(ours)
    assert contentviews.registry["policy"] is other
    view.unregister(other)
    assert "policy" not in contentviews.registry
