"""`proxy-policies doctor`, with real clients and a real proxy."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.programs import find, need
from tests.support.waiting import free_port

from proxy_policies.certificates import authority, client_checks, stores
from proxy_policies.certificates.store_commands import run as run_commands
from proxy_policies.command.main import main

Found = dict[str, dict[str, str]]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, Found]]:
    """Run it; gives its exit code and what it found, by subject. No browser is started."""
    monkeypatch.setattr(client_checks, "find_chromium", lambda: "")

    def run(*arguments: str) -> tuple[int, Found]:
        code = main(["doctor", "--json", *arguments])
        return code, {one["subject"]: one for one in json.loads(capsys.readouterr().out)}

    return run


def test_it_looks_over_everything(doctor: Callable[..., tuple[int, Found]], tmp_path: Path) -> None:
    made = authority.make_authority("ours", datetime.now(UTC))
    authority.write_authority(tmp_path, made)
    away = f"cache=redis://127.0.0.1:{free_port()}/0"
    code, found = doctor("--set", f"confdir={tmp_path}", "-p", str(free_port()), "--set", away)
    levels = {subject: one["level"] for subject, one in found.items()}
    assert code == 0, found
    assert (levels["authority"], levels["port"], levels["options"]) == ("ok", "ok", "ok")
    assert (levels["cache"], "is unavailable" in found["cache"]["text"]) == ("warn", True)
    for client in filter(find, ("curl", "node")):
        assert levels[f"trust, {client}"] == "warn"
        way = "trust debian" if client == "curl" else "env"
        advised = f"proxy-policies certs --folder {tmp_path} {way}"
        assert advised in found[f"trust, {client}"]["advice"]


def test_what_has_to_be_mended_is_a_failure(
    doctor: Callable[..., tuple[int, Found]], asked: Any, tmp_path: Path
) -> None:
    code, found = doctor("--set", f"confdir={tmp_path}", "--set", "cache_size=lots")
    assert (code, found["options"]["level"]) == (1, "fail")
    assert found["options"]["text"].startswith("option cache_size='lots': ")


def test_our_own_proxy_may_have_the_port(asked: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from proxy_policies.doctor.trial_run import look_at_port

    (found,) = look_at_port("127.0.0.1", asked.proxy.port, asked.proxy.confdir)
    assert (found.level, f"process {asked.proxy.pid}" in found.text) == ("ok", True)


def test_chromium_is_asked_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("chromium"), need("certutil")
    monkeypatch.setenv("HOME", str(tmp_path))
    made = authority.make_authority("mitmproxy", datetime.now(UTC))  # a name that the error page has in it
    authority.write_authority(tmp_path / "certs", made)
    certificate = tmp_path / "certs" / authority.CERTIFICATE_FILE
    with client_checks.proxy(tmp_path / "certs") as port:
        assert client_checks.is_about_trust(client_checks.chromium(port))
        (store,) = stores.stores(tmp_path, certificate, made.name)["chromium"]  # Chromium may have made its database
        assert run_commands(store.trust, False) == 0
        assert any(client_checks.chromium(port) == "" for _ in range(3))  # on a machine that is busy
