"""Where certificates are, and the confdir that is made of them."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from proxy_policies.certificates import authority, own_folder
from proxy_policies.certificates.folders import (
    link_confdir,
    own_confdir,
    require_confdir,
    why_not_made,
)


def test_without_a_ca_there_is_no_confdir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(own_folder, "certificates_folder", lambda: tmp_path)
    assert own_confdir() is None
    assert not list(tmp_path.iterdir())


def test_the_confdir_has_our_ca_and_all_else_that_they_keep(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "certs", tmp_path / "theirs"
    for folder, name in ((ours, "mitmproxy-ca.pem"), (theirs, "mitmproxy-ca.pem"), (theirs, "config.yaml")):
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(str(folder))
    for _ in range(2):
        link_confdir(ours, theirs)
        confdir = ours / "confdir"
        assert (confdir / "mitmproxy-ca.pem").read_text() == str(ours)
        assert (confdir / "config.yaml").read_text() == str(theirs)
        assert confdir.stat().st_mode & 0o777 == 0o700
    (theirs / "config.yaml").unlink()
    link_confdir(ours, theirs)
    assert [path.name for path in confdir.iterdir()] == ["mitmproxy-ca.pem"]


def test_control_sockets_are_of_one_confdir(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "certs", tmp_path / "theirs"
    (ours / "confdir").mkdir(parents=True)
    (theirs / "control").mkdir(parents=True)
    for _ in range(2):
        link_confdir(ours, theirs)
        assert not (ours / "confdir/control").exists()
        (ours / "confdir/control").symlink_to(theirs / "control")


def test_a_home_that_is_not_there_is_none_to_link(tmp_path: Path) -> None:
    (tmp_path / "mitmproxy-ca.pem").touch()
    link_confdir(tmp_path, tmp_path / "nowhere")
    assert [path.name for path in (tmp_path / "confdir").iterdir()] == ["mitmproxy-ca.pem"]


@pytest.mark.parametrize(
    ("name", "why"),
    [("file", "File exists"), ("file/below", "Not a directory"), ("/proc/none", "No such file or directory")],
)
def test_a_confdir_that_cannot_be_is_one_line(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=rf"^confdir {tmp_path / name}: {why}; --set confdir=FOLDER names another"):
        require_confdir(tmp_path / name)


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(total=10**9, free=0))
    with pytest.raises(ValueError, match=f"^confdir {tmp_path}: No space left on device; --set confdir=FOLDER names"):
        require_confdir(tmp_path)
    assert why_not_made(tmp_path / "new") == "No space left on device"
    assert list(tmp_path.iterdir()) == []


def test_a_certificate_without_its_key_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / authority.CERTIFICATE_FILE).touch()
    line = f"{tmp_path}: mitmproxy-ca-cert.pem is there without its key, mitmproxy-ca.pem; restore it, or delete"
    with pytest.raises(ValueError, match=f"^{line}"):
        require_confdir(tmp_path)


def test_a_confdir_is_made(tmp_path: Path) -> None:
    for _ in range(2):
        require_confdir(tmp_path / "new/one")
        assert (tmp_path / "new/one").is_dir()


def test_where_the_whole_ca_is_nothing_need_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    (tmp_path / authority.KEY_FILE).write_text("BEGIN ENCRYPTED PRIVATE KEY")
    with pytest.raises(ValueError, match="Permission denied"):
        require_confdir(tmp_path)
    (tmp_path / authority.DH_FILE).touch()
    require_confdir(tmp_path)
