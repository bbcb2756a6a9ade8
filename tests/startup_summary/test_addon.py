"""When the summary is logged."""

from collections.abc import Sequence

import pytest
from mitmproxy.test import taddons

from proxy_policies.startup_summary.addon import StartupSummary


@pytest.mark.parametrize("serves", [True, False])
def test_it_is_logged_where_a_proxy_is_started(serves: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with taddons.context() as context:
        context.options.add_option("inspect_hosts", Sequence[str], [], "")
        context.options.update(server=serves)
        StartupSummary().running()
    assert ("HTTPS passes through untouched" in caplog.text) is serves
