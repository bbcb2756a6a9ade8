"""Which options are for one process alone."""

import runpy

import pytest
from mitmproxy import ctx
from tests.support.mitmdump import ADDONS

from proxy_policies.settings import settings_of
from proxy_policies.workers import single_process


def test_none_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ctx, "master", raising=False)  # of an earlier test, with some of them loaded
    every = runpy.run_path(str(ADDONS / "policy.py"))["addons"]
    declared = {setting.name for policy in every for setting in settings_of(policy) if setting.single_process}
    assert {setting.name for setting in single_process.settings()} == declared
