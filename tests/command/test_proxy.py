"""What mitmproxy is given."""

from pathlib import Path

import pytest

from proxy_policies.certificates import folders
from proxy_policies.command.commands import parse
from proxy_policies.command.main import main
from proxy_policies.command.proxy import arguments_of
from proxy_policies.script_paths import scripts

POLICY, HOME, WORK = (str(scripts()[name]) for name in ("policy", "home", "work"))
LOOPBACK = ["--listen-host", "127.0.0.1"]


@pytest.fixture(autouse=True)
def without_ca(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "own_confdir", lambda: None)


def given_to_mitmproxy(*words: str, script: str = "policy") -> list[str]:
    given = parse(words)
    return arguments_of(script, given.settings, given.mitmproxy_arguments)


@pytest.mark.parametrize("program", ["run", "web", "console"])
def test_arguments_arrive_as_they_are(program: str) -> None:
    theirs = ["--set", "header_rules=/~u a b/X-Y/some  thing * $HOME", "", "~q & ~s", "-n", "-p", "8000", "-vv"]
    assert given_to_mitmproxy(program, *theirs) == ["-s", POLICY, *LOOPBACK, *theirs]


def test_what_is_ours_becomes_options() -> None:
    given = given_to_mitmproxy("run", "-n", "--grace", "30s")
    assert given == ["-s", POLICY, *LOOPBACK, "--set", "grace_period=30s", "-n"]
    assert parse(["run", "--workers=3", "--mode", "socks5"]).workers == 3


def test_an_abbreviation_is_mitmproxys_to_refuse() -> None:
    assert given_to_mitmproxy("run", "--work", "3")[-2:] == ["--work", "3"]


@pytest.mark.parametrize("flag", ["-r", "-S", "-C"])
def test_a_flow_file_that_is_not_there_is_named(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "-q", flag, "nowhere.mitm"]) == 1
    assert capsys.readouterr().err == f"proxy-policies run: {flag} nowhere.mitm: No such file or directory\n"


@pytest.mark.parametrize("theirs", [["--set", "listen_host=::1"], ["--set=listen_host=::1"]])
def test_the_users_address_wins(theirs: list[str]) -> None:
    assert given_to_mitmproxy("run", *theirs) == ["-s", POLICY, *theirs]
    assert given_to_mitmproxy("run", "--listen-host", "::1")[-2:] == ["--listen-host", "::1"]  # the last one wins


def test_our_ca_is_in_a_confdir_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "own_confdir", lambda: Path("/ours"))
    assert given_to_mitmproxy("run")[-2:] == ["--set", "confdir=/ours"]
    assert given_to_mitmproxy("run", "--set", "confdir=/theirs")[-2:] == ["--set", "confdir=/theirs"]


def test_the_ends_of_a_tunnel_run_without_a_proxy() -> None:
    home = given_to_mitmproxy("home", "--listen", "*:9000", "--client", "1=ssh", "--client", "2=web", script="home")
    options = ["--set", "home_listen=*:9000", "--set", "home_clients=1=ssh", "--set", "home_clients=2=web"]
    assert home == ["-s", HOME, "-n", *LOOPBACK, *options]
    work = given_to_mitmproxy("work", "--home", "h:1", "--service", "ssh=a:22", "--grace", "1s", script="work")
    options = ["--set", "work_home=h:1", "--set", "work_services=ssh=a:22", "--set", "grace_period=1s"]
    assert work == ["-s", WORK, "-n", *LOOPBACK, *options]
