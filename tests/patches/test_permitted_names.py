"""What a CA with name constraints signs: what OpenSSL makes of it."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from mitmproxy.certs import CertStore
from tests.support.programs import need

from proxy_policies.certificates.authority import CERTIFICATE_FILE, make_authority, write_authority
from proxy_policies.certificates.name_constraints import parse_permitted
from proxy_policies.patches.permitted_names import PATCH

OTHERS = [x509.DNSName("other.test"), x509.DNSName("*.com"), x509.IPAddress(ip_address("127.0.0.1"))]


@pytest.fixture
def patched() -> Iterator[None]:
    undo = PATCH.apply()
    assert undo is not None
    yield
    undo()


def complaint(folder: Path, names: list[x509.GeneralName]) -> str:
    """Return what OpenSSL says against the certificate that mitmproxy makes for some names."""
    made = CertStore.from_store(folder, "mitmproxy", 2048).get_cert(str(names[0].value), names)
    (folder / "leaf.pem").write_bytes(made.cert.to_pem())
    command = [need("openssl"), "verify", "-CAfile", str(folder / CERTIFICATE_FILE), str(folder / "leaf.pem")]
    return subprocess.run(command, capture_output=True, text=True).stderr


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("permitted", ["example.com", "10.0.0.0/8"])
def test_names_that_the_ca_may_not_sign_for_are_left_out(tmp_path: Path, permitted: str) -> None:
    write_authority(tmp_path, make_authority("limited", datetime.now(UTC), [parse_permitted(permitted)]))
    allowed = [x509.DNSName("www.example.com"), x509.IPAddress(ip_address("10.1.2.3"))]
    assert not complaint(tmp_path, [*OTHERS, *allowed])
    assert "subtree violation" in complaint(tmp_path, OTHERS)


@pytest.mark.usefixtures("patched")
def test_a_ca_without_constraints_signs_for_all(tmp_path: Path) -> None:
    write_authority(tmp_path, make_authority("unlimited", datetime.now(UTC)))
    assert not complaint(tmp_path, OTHERS)
    made = x509.load_pem_x509_certificate((tmp_path / "leaf.pem").read_bytes())
    assert list(made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == OTHERS
