"""Whether real clients take what an authority signs."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy_policies.certificates import client_checks
from proxy_policies.certificates.authority import CERTIFICATE_FILE, make_authority, write_authority


def folder_of(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    write_authority(folder, make_authority(name, datetime.now(UTC)))
    return folder


@pytest.mark.timeout(100)
def test_clients_take_what_our_authority_signs_and_nobody_elses(tmp_path: Path) -> None:
    ours, other = folder_of(tmp_path, "ours"), folder_of(tmp_path, "other")
    with client_checks.proxy(ours) as port:
        for name, ask in client_checks.clients().items():
            assert ask(port, ours / CERTIFICATE_FILE) == "", name
            assert ask(port, other / CERTIFICATE_FILE), name


def test_a_proxy_that_does_not_start_says_why() -> None:
    with pytest.raises(OSError, match="mitmdump did not start: no key"):
        client_checks._port([b"no key\n"])
