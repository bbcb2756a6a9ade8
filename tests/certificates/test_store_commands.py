"""How the commands of a store are run."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.programs import need

from proxy_policies.certificates import authority
from proxy_policies.certificates.store_commands import missing, run, take_out
from proxy_policies.certificates.stores import TrustStore, nss


def test_a_store_of_roots_without_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ValueError, match=r"^this store is root's, and there is no sudo: run it as root$"):
        run([("true",)], as_root=True)


def test_what_commands_print_is_shown_when_they_fail(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([("echo", "much")], as_root=False) == 0
    assert capfd.readouterr().out == "+ echo much\n"
    assert run([("sh", "-c", "echo why; exit 3"), ("echo", "never")], as_root=False) == 3
    assert capfd.readouterr() == ("+ sh -c 'echo why; exit 3'\n", "why\n")


def test_nothing_is_begun_that_cannot_be_finished(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"^update-ca-trust-of-nowhere is missing$"):
        run([("echo", "begun"), ("update-ca-trust-of-nowhere",)], as_root=False)
    assert capfd.readouterr().out == ""


def test_who_brings_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert missing([("certutil", "-L")]) == "certutil is missing (Debian package libnss3-tools)"
    assert missing([("update-ca-trust",)]) == "update-ca-trust is missing (this is not Fedora?)"
    assert missing([]) == ""


def test_trust_that_was_interrupted_anywhere_is_undone(tmp_path: Path) -> None:
    need("certutil")
    ours = authority.make_authority("ours of this test", datetime.now(UTC))
    authority.write_authority(tmp_path / "ca", ours)
    database = tmp_path / "share" / "pki" / "nssdb"
    store = nss(database, tmp_path / "ca" / authority.CERTIFICATE_FILE, ours.name)
    (tmp_path / "share").mkdir()
    for done in range(1, len(store.trust) + 1):
        assert run(store.trust[:done], as_root=False) == 0
        assert take_out([store]) == 0
        assert not list((tmp_path / "share").iterdir()), f"left of the first {done} commands"


def test_a_file_that_was_copied_and_no_more_is_taken_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """As Debian's and Fedora's stores are left by a trust that was interrupted."""
    (tmp_path / "copy").touch()
    undo = (("rm", str(tmp_path / "copy")),)
    store = TrustStore(trust=(), undo=undo, ask=("false",), find=("test", "-e", str(tmp_path / "copy")))
    assert take_out([store]) == take_out([store]) == 0
    assert capfd.readouterr().out == f"+ rm {tmp_path}/copy\n"


def test_a_foreign_folder_is_kept(tmp_path: Path) -> None:
    need("certutil")
    database = tmp_path / "nssdb"
    database.mkdir()
    assert take_out([nss(database, tmp_path / "ca.pem", "ours")]) == 0
    assert database.is_dir()


def test_a_copy_in_another_store_is_taken_out_as_well(tmp_path: Path) -> None:
    """As ca-certificates-java leaves one in Java's store, even when Debian's no longer has the authority."""

    def holding(name: str, *copies: TrustStore) -> TrustStore:
        path = str(tmp_path / name)
        return TrustStore(
            trust=(), undo=(("rm", path),), ask=("test", "-e", path), find=("test", "-e", path), copies=copies
        )

    store = holding("debian", holding("java"))
    for present in (("debian", "java"), ("java",), ()):
        for name in present:
            (tmp_path / name).touch()
        assert take_out([store]) == 0
        assert not list(tmp_path.iterdir())
