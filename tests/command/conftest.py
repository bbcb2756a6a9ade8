"""Where `proxy-policies certs` keeps its files in tests."""

from pathlib import Path

import pytest

from proxy_policies.certificates import own_folder


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the folder where certificates are."""
    monkeypatch.setattr(own_folder, "certificates_folder", lambda: tmp_path / "certs")
    return tmp_path / "certs"
