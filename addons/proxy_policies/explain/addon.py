"""The explain policy: shows what the other policies did, in mitmweb, in mitmdump and by a command."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from mitmproxy import contentviews, ctx, http, tcp
from mitmproxy.addonmanager import Loader
from mitmproxy.flow import Flow

from proxy_policies import trace
from proxy_policies.dispatch.around_scripts import Hooks
from proxy_policies.explain.verdicts import Decided, Recent, summary
from proxy_policies.explain.view import PolicyView, unregister
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.fields import fields_of
from proxy_policies.flows.flow_state import state_of
from proxy_policies.hook_conditions import only_describes, only_if
from proxy_policies.lazy_imports import lazy_imports

with lazy_imports():
    from proxy_policies.explain import formatting

COMMENTED = "policy_comment"
"""The flow metadata with our own comment, to distinguish it from the user's."""
DETAILED = 2
"""The `flow_detail` from which mitmdump prints heads, and we the decisions below them."""


class Explain:
    """Late in the chain, after the other policies have decided."""

    name = "explain"
    fast_paths = NO_OBJECTION

    def __init__(self) -> None:
        self._view = PolicyView()
        self._ended: set[str] = set()
        self.recent = Recent()
        self._is_detailed = False

    def configure(self, updated: set[str]) -> None:
        """Note whether decisions are printed: `flow_detail` is an option of mitmdump's."""
        self._is_detailed = getattr(ctx.options, "flow_detail", 0) >= DETAILED

    def load(self, loader: Loader) -> None:
        """Add the content view and the command `policy.explain`."""
        self._view.is_first = type(ctx.master).__name__ == "WebMaster"
        contentviews.add(self._view)
        loader.add_command("policy.explain", self.explain)

    def done(self) -> None:
        """Remove the content view."""
        unregister(self._view)

    def explain(self, flows: Sequence[Flow]) -> Sequence[str]:
        """Return what the policies did with flows, and why."""
        return [
            line
            for each in flows
            for line in (_title(each), *(f"  {line}" for line in formatting.format_notes(trace.notes(each))))
        ]

    async def statistics(self) -> Mapping[str, int]:
        """Return how many flows have ended, and the counts of decisions about them."""
        return self.recent.counts()

    def late_hooks(self) -> Hooks:
        """Return the hook that sets the flow's comment and notes the decisions, after all policies have decided."""
        return Hooks(self.name, response=self.conclude)

    def error(self, flow: http.HTTPFlow) -> None:
        """Comment on why a flow broke off, unless another policy answered it."""
        if flow.error is not None and not _is_answered(flow):
            has_left = state_of(flow).client_left and not flow.client_conn.error  # its error says why we ended it
            verdict = "client left" if has_left else "failed"
            trace.note(flow, "proxy", verdict, formatting.failure(flow.error.msg))
        self.conclude(flow)

    def http_connect_error(self, flow: http.HTTPFlow) -> None:
        """Comment on why a CONNECT was refused."""
        if flow.response is not None:
            error = flow.server_conn.error if flow.server_conn else None
            trace.note(flow, "proxy", "refused", error or f"{flow.response.status_code} {flow.response.reason}")
        self.conclude(flow)

    @only_describes
    def tcp_start(self, flow: tcp.TCPFlow) -> None:
        """Comment on a tunnel when it opens."""
        comment(flow)

    @only_describes
    def tcp_end(self, flow: tcp.TCPFlow) -> None:
        """Comment on a tunnel when it closes."""
        comment(flow)

    @only_describes
    def tcp_error(self, flow: tcp.TCPFlow) -> None:
        """Comment on a tunnel that broke off."""
        comment(flow)

    def conclude(self, flow: http.HTTPFlow) -> None:
        """Record the decisions, now that they are final."""
        comment(flow)
        self.recent.add(Decided(time.time(), _asked(flow.request), _outcome(flow), trace.notes(flow)))
        if self._is_detailed:
            self._ended.add(flow.id)

    @only_if("_ended")
    def update(self, flows: Sequence[Flow]) -> None:
        """Print the decisions below a flow that has just ended, after every addon, including mitmdump's dumper."""
        for each in flows:
            if each.id in self._ended:
                self._ended.discard(each.id)
                if self._is_detailed:
                    _print(each)


def _is_answered(flow: http.HTTPFlow) -> bool:
    """Return whether a policy, or another addon, answered in place of a failed origin."""
    has_stood_in = any(note["verdict"] == "stale" for note in trace.notes(flow))
    return flow.response is not None and (has_stood_in or state_of(flow).origin is None)


def comment(flow: Flow) -> None:
    """Put the verdict into the flow's comment, unless the user has written one."""
    if flow.comment == flow.metadata.get(COMMENTED, ""):
        flow.comment = summary(trace.notes(flow))
        flow.metadata[COMMENTED] = flow.comment


def _print(flow: Flow) -> None:
    dumper: Any = ctx.master.addons.get("dumper")
    if trace.notes(flow) and dumper.match(flow):
        dumper.echo("\n".join(formatting.format_notes(trace.notes(flow))), ident=4, dim=True)
        dumper.outfp.flush()


def _outcome(flow: http.HTTPFlow) -> str:
    if flow.response is not None:
        return str(flow.response.status_code)
    return flow.error.msg if flow.error else ""


def _asked(request: http.Request) -> str:
    """Return the request's method and target as sent; this runs for each flow, so nothing is parsed."""
    data = request.data
    host = fields_of(data.headers).get("host") or f"{data.host}:{data.port}"
    authority = data.authority or host.encode("utf-8", "surrogateescape")
    target = authority if data.method == b"CONNECT" else b"%s://%s%s" % (data.scheme, authority, data.path)
    return (data.method + b" " + target).decode("utf-8", "replace")


def _title(flow: Flow) -> str:
    if isinstance(flow, http.HTTPFlow):
        return f"{flow.request.method} {flow.request.pretty_url}"
    address = flow.server_conn.address
    return f"{flow.type} {address[0]}:{address[1]}" if address else flow.type
