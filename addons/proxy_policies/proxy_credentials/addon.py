"""Removes the password that mitmproxy's proxyauth leaves on every flow, and so in every flow file."""

from __future__ import annotations

from mitmproxy import ctx, http

from proxy_policies.dispatch.around_scripts import Hooks


class _HooksWhileNeeded(Hooks):
    """Hooks in a list of child addons, which can be empty: a hook closes fast paths even if it does nothing."""

    addons: list[Hooks]


class ProxyCredentials:
    """Acts right after proxyauth, before every script, while `proxyauth` is set."""

    name = "proxy-credentials"

    def __init__(self) -> None:
        self._early = _HooksWhileNeeded(self.name)
        self._early.addons = []

    def early_hooks(self) -> Hooks:
        """Return the hooks that remove the password before any script or file can keep it."""
        return self._early

    def configure(self, updated: set[str]) -> None:
        """Add or remove the hooks."""
        if "proxyauth" in updated:
            hooks = Hooks(self.name, requestheaders=forget_password, http_connect=forget_password)
            self._early.addons = [hooks] if ctx.options.proxyauth else []


def forget_password(flow: http.HTTPFlow) -> None:
    """Keep only the user's name on a flow; of rejected credentials, nothing."""
    if credentials := flow.metadata.get("proxyauth"):
        flow.metadata["proxyauth"] = (credentials[0], "")
    if flow.response is not None:
        flow.request.headers.pop("Proxy-Authorization", None)
