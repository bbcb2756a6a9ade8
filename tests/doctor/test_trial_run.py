"""What a proxy is started with for a moment, and what is made of what it says."""

import itertools
import socket
from pathlib import Path

import pytest

from proxy_policies.doctor.finding import Level
from proxy_policies.doctor.trial_run import judge, look_at_port, trial_arguments


def test_it_has_the_options_but_does_not_disturb_a_running_proxy() -> None:
    meant = ["--set", "cache=off", "--set=encode=gzip"]
    disturbing = [
        "--set",
        "home_listen=9000",
        "--set=work_home=h:1",
        "--set",
        "confdir=/x",
        "--set",
        "capture_file=a.har",
    ]
    given = trial_arguments([*disturbing, *meant], Path("/trial"))
    assert given[-len(meant) :] == meant, "what is no option ends them: none of ours comes after it"
    assert "9000" not in " ".join(given)
    assert [spec for spec in given if spec.startswith("confdir=")] == ["confdir=/trial"]
    assert given[given.index("--listen-port") + 1] == "0"
    paged = trial_arguments(["--set", "metrics=9090", *meant], Path("/trial"), ["metrics"])
    assert ("metrics=off" in paged, "metrics=9090" in paged) == (True, False)


def test_no_mode_has_the_port_of_a_running_proxy() -> None:
    modes = ["regular", "socks5@8081", "reverse:http://a:b@127.0.0.1:80@::1:9", "regular@x", "regular@99999"]
    given = trial_arguments([part for mode in modes for part in ("--mode", mode)], Path("/trial"))
    named = [value for word, value in itertools.pairwise(given) if word == "--mode"]
    free = ["socks5@127.0.0.3:0", "reverse:http://a:b@127.0.0.1:80@127.0.0.4:0"]
    assert named == ["regular", *free, "regular@x", "regular@99999"], "an invalid one is to be reported"


@pytest.mark.parametrize(
    ("said", "stored", "found"),
    [
        ("", "0 responses", [(Level.OK, "options", "accepted"), (Level.OK, "cache", "0 responses")]),
        (
            "[07:00:00.1] option x: y\nErrors logged during startup, exiting...",
            None,
            [(Level.FAIL, "options", "option x: y")],
        ),
        (
            "mitmdump: error: unrecognized arguments: --x\nTo show all options and their default values use --options",
            None,
            [(Level.FAIL, "options", "mitmdump: error: unrecognized arguments: --x")],
        ),
        ("", None, [(Level.FAIL, "options", "the proxy did not start, and gave no reason")]),
        (
            "[07:00:00.1] work: work_services is set and work_home is not: nothing is offered\n"
            "[07:00:00.1] home: home_clients is set but home_listen is not: home does not listen",
            "0 responses",
            [(Level.OK, "options", "accepted"), (Level.OK, "cache", "0 responses")],
        ),
        (
            "[07:00:00.1] cache: it is away\n[07:00:00.2] beware\n[07:00:00.2] beware",
            "0 responses",
            [
                (Level.OK, "options", "accepted"),
                (Level.WARN, "cache", "it is away"),
                (Level.WARN, "options", "beware"),
            ],
        ),
    ],
)
def test_what_it_says_is_judged(said: str, stored: str | None, found: list[tuple[Level, str, str]]) -> None:
    assert [(one.level, one.subject, one.text) for one in judge(said, stored)] == found


def test_an_address_that_is_none(tmp_path: Path) -> None:
    (found,) = look_at_port("300.1.1.1", 8080, tmp_path)
    assert found.level is Level.FAIL
    assert "Unknown error" not in found.text


def test_a_port_that_is_free_or_is_not(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (found,) = look_at_port("127.0.0.1", port, tmp_path)
        assert (found.level, "-p PORT" in found.advice) == (Level.FAIL, True)
        assert found.text == f"127.0.0.1:{port}: Address already in use"
    (found,) = look_at_port("192.0.2.1", 0, tmp_path)
    assert "--listen-host" in found.advice
    (found,) = look_at_port("127.0.0.1", 0, tmp_path)
    assert found.level is Level.OK
