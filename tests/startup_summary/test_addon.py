"""When the summary is logged."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mitmproxy.certs import CertStore
from mitmproxy.test import taddons

from proxy_policies.certificates.authority import CERTIFICATE_FILE, KEY_FILE, make_authority, write_authority
from proxy_policies.startup_summary.addon import StartupSummary


@pytest.mark.parametrize("serves", [True, False])
def test_it_is_logged_where_a_proxy_is_started(serves: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with taddons.context() as context:
        context.options.add_option("inspect_hosts", Sequence[str], [], "")
        context.options.update(server=serves)
        StartupSummary().running()
    assert ("HTTPS passes through untouched" in caplog.text) is serves


@pytest.mark.parametrize("is_broken", [True, False])
def test_a_key_that_is_not_the_certificates_is_warned_of(
    tmp_path: Path, is_broken: bool, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("ours", "other"):
        write_authority(tmp_path / name, make_authority(name, datetime.now(UTC)))
    if is_broken:
        key = (tmp_path / "other" / KEY_FILE).read_bytes().partition(b"-----BEGIN CERT")[0]
        (tmp_path / "ours" / KEY_FILE).write_bytes(key + (tmp_path / "ours" / CERTIFICATE_FILE).read_bytes())
    StartupSummary()._warn_of_authority(
        CertStore.from_store(tmp_path / "ours", "mitmproxy", 2048), tmp_path / "ca-cert.pem"
    )
    assert ("does not match it" in caplog.text) is is_broken
