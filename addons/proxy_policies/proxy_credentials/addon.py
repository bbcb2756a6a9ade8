"""Forgetting the password that mitmproxy's proxyauth leaves on every flow, and so in every flow file."""

from __future__ import annotations

from mitmproxy import ctx, http

from proxy_policies.dispatch.around_scripts import Hooks


class _HooksWhileNeeded(Hooks):
    """Asked only while it has any addons; a hook that is there closes fast paths, whether it does anything or not."""

    addons: list[Hooks]


class ProxyCredentials:
    """Acts right behind proxyauth, before every script, while that is in use."""

    name = "proxy-credentials"

    def __init__(self) -> None:
        self._early = _HooksWhileNeeded(self.name)
        self._early.addons = []

    def early_hooks(self) -> Hooks:
        """Forget before any script or file can keep it."""
        return self._early

    def configure(self, updated: set[str]) -> None:
        """Act while proxyauth does."""
        if "proxyauth" in updated:
            hooks = Hooks(self.name, requestheaders=forget_password, http_connect=forget_password)
            self._early.addons = [hooks] if ctx.options.proxyauth else []


def forget_password(flow: http.HTTPFlow) -> None:
    """Leave the user's name on a flow, and nothing of the credentials that proxyauth refused."""
    if known := flow.metadata.get("proxyauth"):
        flow.metadata["proxyauth"] = (known[0], "")
    if flow.response is not None:
        flow.request.headers.pop("Proxy-Authorization", None)
