"""The content view "Policy": what the policies did with the flow at hand, and under it the content."""

from mitmproxy import contentviews, http
from mitmproxy.contentviews._view_raw import raw

from proxy_policies import trace
from proxy_policies.lazy_imports import lazy_imports

with lazy_imports():
    from proxy_policies.explain import formatting

FIRST = 10.0
"""A priority above those of mitmproxy's own views, which are 2 at most."""
NEVER = -1.0
CONTENT_MOST = 1 << 20
"""Octets of content that are laid out under the story; the beginning of more is shown as it is."""


class PolicyView(contentviews.Contentview):
    """Shows the story of a flow. Where it `is_first`, it is what is seen of a response unless another view is chosen.

    Then the content stands below, in the view that would have been chosen.
    """

    name = "Policy"
    syntax_highlight: contentviews.SyntaxHighlight = "none"
    """Read after `prettify`: that of the content."""

    def __init__(self, is_first: bool = False) -> None:
        self.is_first = is_first

    def prettify(self, data: bytes, metadata: contentviews.Metadata) -> str:
        """Return what the policies did, one line for each decision, and the content where this view is the first."""
        story = formatting.wrapped(trace.notes(metadata.flow)) if metadata.flow else formatting.NOTHING
        self.syntax_highlight = "none"
        if not self.is_first or not data or metadata.http_message is None:
            return story
        return f"{story}\n\n{self._content(data, metadata)}"

    def render_priority(self, data: bytes, metadata: contentviews.Metadata) -> float:
        """Come first for a response that anything was decided about, in mitmweb only."""
        is_told = self.is_first and isinstance(metadata.http_message, http.Response)
        return FIRST if is_told and metadata.flow and trace.notes(metadata.flow) else NEVER

    def _content(self, data: bytes, metadata: contentviews.Metadata) -> str:
        if len(data) > CONTENT_MOST:
            return raw.prettify(data[:CONTENT_MOST], contentviews.Metadata())
        view = self._view_of_content(data, metadata)
        try:
            text = view.prettify(data, metadata)
        except Exception:  # as mitmproxy does where it chose a view that fails
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
    """Take a view out of mitmproxy's registry, which has no function for it (12.2); one that took its place stays."""
    views = getattr(contentviews.registry, "_by_name", {})
    if views.get(view.name.lower()) is view:
        del views[view.name.lower()]
