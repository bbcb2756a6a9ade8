"""The content view "Policy": what the policies did with a flow, and the content below."""

from mitmproxy import contentviews, http
from mitmproxy.contentviews._view_raw import raw

from proxy_policies import trace
from proxy_policies.lazy_imports import lazy_imports

with lazy_imports():
    from proxy_policies.explain import formatting

FIRST = 10.0
"""A priority above those of mitmproxy's own views, at most 2."""
NEVER = -1.0
MAX_CONTENT = 1 << 20
"""Bytes of content that are formatted; of larger content, the raw beginning is shown."""


class PolicyView(contentviews.Contentview):
    """Shows the decisions about a flow. If it `is_first`, it is the default view of a response.

    Then the content is shown below, in the view that would otherwise be the default.
    """

    name = "Policy"
    syntax_highlight: contentviews.SyntaxHighlight = "none"
    """Read after `prettify`: the content's."""

    def __init__(self, is_first: bool = False) -> None:
        self.is_first = is_first

    def prettify(self, data: bytes, metadata: contentviews.Metadata) -> str:
        """Return the decisions, one line each, and the content if this view is the default."""
        story = formatting.wrapped(trace.notes(metadata.flow)) if metadata.flow else formatting.NOTHING
        self.syntax_highlight = "none"
        if not self.is_first or not data or metadata.http_message is None:
            return story
        return f"{story}\n\n{self._content(data, metadata)}"

    def render_priority(self, data: bytes, metadata: contentviews.Metadata) -> float:
        """Take precedence for a response with decisions, in mitmweb only."""
        is_told = self.is_first and isinstance(metadata.http_message, http.Response)
        return FIRST if is_told and metadata.flow and trace.notes(metadata.flow) else NEVER

    def _content(self, data: bytes, metadata: contentviews.Metadata) -> str:
        if len(data) > MAX_CONTENT:
            return raw.prettify(data[:MAX_CONTENT], contentviews.Metadata())
        view = self._view_of_content(data, metadata)
        try:
            text = view.prettify(data, metadata)
        except Exception:  # as mitmproxy does if its chosen view fails
            return raw.prettify(data, metadata)
        self.syntax_highlight = view.syntax_highlight
        return f"--- {view.name}\n{text}"

    def _view_of_content(self, data: bytes, metadata: contentviews.Metadata) -> contentviews.Contentview:
        self.is_first = False
        try:
            return contentviews.registry.get_view(data, metadata)
        finally:
            self.is_first = True


def unregister(view: PolicyView) -> None:
    """Remove a view from mitmproxy's registry, which has no function for it (12.2); a successor stays."""
    views = getattr(contentviews.registry, "_by_name", {})
    if views.get(view.name.lower()) is view:
        del views[view.name.lower()]
