"""What is asked of mitmproxy itself is answered as by stock."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.addons.onboarding import Onboarding
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.test import taddons, tflow

from proxy_policies.tuning.onboarding import only_for_its_host, written_once


async def answered(addon: Any, flow: http.HTTPFlow) -> object:
    result = addon.request(flow)
    if inspect.isawaitable(result):
        await result
    return flow.response and (flow.response.status_code, flow.response.content)


def asking(host: str, **changes: Any) -> http.HTTPFlow:
    flow = tflow.tflow(resp=changes.pop("resp", False), err=changes.pop("err", False))
    flow.request.host_header = host
    flow.live = changes.pop("live", True)
    return flow


ASKED: dict[str, dict[str, Any]] = {
    "ours": {"host": "mitm.it"},
    "upper-case": {"host": "MITM.IT"},
    "port": {"host": "mitm.it:8080"},
    "other": {"host": "example.test"},
    "odd": {"host": "["},
    "answered": {"host": "mitm.it", "resp": True},
    "broken": {"host": "mitm.it", "err": True},
    "replayed": {"host": "mitm.it", "live": False},
}


@pytest.mark.parametrize("options", [{}, {"onboarding": False}, {"onboarding_host": "example.test"}], ids=str)
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
async def test_onboarding_as_stock(
    asked: dict[str, Any], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with taddons.context(addon := Onboarding()) as context:
        context.configure(addon, **options)
        stock = await answered(addon, asking(**asked))
        monkeypatch.setattr(Onboarding, "request", only_for_its_host(Onboarding.request))
        assert await answered(addon, asking(**asked)) == stock


def test_no_coroutine_for_others() -> None:
    with taddons.context(addon := Onboarding()):
        assert only_for_its_host(Onboarding.request)(addon, asking("example.test")) is None


def test_another_authority_has_another_list(tmp_path: Any) -> None:
    quick = written_once(TlsConfig.crl_path)
    for name in ("one", "other"):
        with taddons.context(addon := TlsConfig()) as context:
            context.configure(addon, confdir=str(tmp_path / name))
            assert [quick(addon), quick(addon)] == [addon.crl_path()] * 2
