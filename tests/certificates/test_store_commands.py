"""How the commands of a store are run."""

import pytest

from proxy_policies.certificates.store_commands import missing, run


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
