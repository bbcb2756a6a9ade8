"""What work refuses, and what it says of options that were hardly meant."""

from __future__ import annotations

import pytest
from mitmproxy import exceptions
from mitmproxy.test import taddons

from proxy_policies.reverse_tunnel.work.addon import Work
from proxy_policies.settings import Settings


@pytest.mark.parametrize("tls", ["none", "secret"])
def test_a_home_of_a_name_wants_certificates(tls: str) -> None:
    work = Work()
    with (
        taddons.context(Settings([work]), work) as context,
        pytest.raises(exceptions.OptionsError, match="certificates"),
    ):
        context.configure(work, work_home="paris@127.0.0.1:9", work_tls=tls)


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({}, "nothing is offered; work --home HOST:PORT --service NAME=HOST:PORT"),
        ({"work_services": ["ssh=127.0.0.1:22"]}, "work_services is set and work_home is not"),
        ({"work_home": "127.0.0.1:9", "work_tls": "none"}, ""),
    ],
    ids=str,
)
def test_work_without_a_home_or_services_says_so(changes: dict[str, object], doubt: str) -> None:
    work = Work()
    with taddons.context(Settings([work]), work) as context:
        context.configure(work, **changes)
        warnings = list(work.warnings())
    assert len(warnings) == bool(doubt)
    assert not doubt or doubt in warnings[0]
