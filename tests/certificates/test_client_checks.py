"""Whether real clients take what an authority signs."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.programs import need

from proxy_policies.certificates import client_checks
from proxy_policies.certificates.authority import CERTIFICATE_FILE, make_authority, write_authority
from proxy_policies.certificates.client_checks import HOST
from proxy_policies.certificates.name_constraints import parse_permitted
from proxy_policies.certificates.store_commands import run
from proxy_policies.certificates.stores import stores

HOSTS = {"mitm.it.example.com": True, "notexample.com": False, "10.1.2.3": True, "11.1.2.3": False}
"""Whether clients believe an authority for example.com and 10.0.0.0/8."""


def folder_of(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    write_authority(folder, make_authority(name, datetime.now(UTC)))
    return folder


@pytest.mark.timeout(100)
def test_clients_accept_certificates_of_our_authority_only(tmp_path: Path) -> None:
    ours, other = folder_of(tmp_path, "ours"), folder_of(tmp_path, "other")
    with client_checks.proxy(ours) as port:
        for name, ask in client_checks.clients().items():
            assert ask(port, ours / CERTIFICATE_FILE, HOST) == "", name
            assert ask(port, other / CERTIFICATE_FILE, HOST), name


def test_a_proxy_that_does_not_start_says_why() -> None:
    with pytest.raises(OSError, match="mitmdump did not start: no key"):
        client_checks._port([b"no key\n"])


@pytest.mark.parametrize(
    ("page", "log", "complaint"),
    [
        ("<p>ERR_CERT_AUTHORITY_INVALID</p>", "", "ERR_CERT_AUTHORITY_INVALID"),
        ("", "handshake failed; net_error -202\n", "net_error -202"),
        ("", "cannot start\n", "no page: cannot start"),
    ],
)
def test_what_a_browser_complains_of(page: str, log: str, complaint: str) -> None:
    assert client_checks.browser_complaint(page, log) == complaint
    assert client_checks.is_about_trust(complaint) == ("no page" not in complaint)


@pytest.mark.timeout(100)
def test_an_authority_for_a_domain_and_a_network_is_believed_for_them_alone(tmp_path: Path) -> None:
    """Name constraints, as curl, Python and Node take them."""
    permitted = [parse_permitted("example.com"), parse_permitted("10.0.0.0/8")]
    write_authority(tmp_path, make_authority("limited", datetime.now(UTC), permitted))
    for host, is_permitted in HOSTS.items():
        with client_checks.proxy(tmp_path, host) as port:
            for name, ask in client_checks.clients().items():
                assert (ask(port, tmp_path / CERTIFICATE_FILE, host) == "") == is_permitted, (name, host)


@pytest.mark.timeout(300)
def test_chromium_believes_it_for_that_domain_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("chromium"), need("certutil")
    monkeypatch.setenv("HOME", str(tmp_path))
    write_authority(tmp_path / "ca", make_authority("limited", datetime.now(UTC), [parse_permitted("example.com")]))
    (store,) = stores(tmp_path, tmp_path / "ca" / CERTIFICATE_FILE, "limited")["chromium"]
    assert run(store.trust, False) == 0
    with client_checks.proxy(tmp_path / "ca", "mitm.it.example.com") as port:
        tries = (client_checks.chromium(port, "mitm.it.example.com") for _ in range(3))  # on a machine that is busy
        assert any(complaint == "" for complaint in tries)
    with client_checks.proxy(tmp_path / "ca") as port:
        before = sorted(tmp_path.rglob("*"))
        assert client_checks.is_about_trust(client_checks.chromium(port))
        assert sorted(tmp_path.rglob("*")) == before, "it is asked, and leaves nothing"
