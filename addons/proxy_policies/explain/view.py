"""The content view "Policy": what the policies did with the flow at hand."""

from mitmproxy import contentviews

from proxy_policies import trace
from proxy_policies.lazy_imports import lazy_imports

with lazy_imports():
    from proxy_policies.explain import formatting


class PolicyView(contentviews.Contentview):
    """Shows the story of a flow instead of its content; never chosen unless asked for."""

    name = "Policy"
    syntax_highlight = "none"

    def prettify(self, data: bytes, metadata: contentviews.Metadata) -> str:
        """Return what the policies did, one line for each decision."""
        return formatting.wrapped(trace.notes(metadata.flow)) if metadata.flow else formatting.NOTHING

    def render_priority(self, data: bytes, metadata: contentviews.Metadata) -> float:
        """Stand back from the choice of the best view."""
        return -1


def unregister(view: PolicyView) -> None:
    """Take a view out of mitmproxy's registry, which has no function for it (12.2); one that took its place stays."""
    views = getattr(contentviews.registry, "_by_name", {})
    if views.get(view.name.lower()) is view:
        del views[view.name.lower()]
