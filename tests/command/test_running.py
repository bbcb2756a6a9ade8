"""Which running processes a command is about."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pytest

from proxy_policies.command import running
from proxy_policies.command.commands import parse
from proxy_policies.control import client


def instance(pid: int, *ends: str, policies: Sequence[str] = ()) -> client.Instance:
    status = {"pid": pid, "addresses": [f"h:{pid}"], "tunnel_ends": ends, "policies": policies}
    return client.Instance(Path(f"{pid}.sock"), status)


PROXY, HOME, WORK = instance(1, policies=["cache", "dashboard", "explain"]), instance(2, "home"), instance(3, "work")


@pytest.mark.parametrize(
    ("words", "found", "pid"),
    [
        (["tunnel", "status"], [PROXY, WORK, HOME], 2),
        (["tunnel", "close", "all"], [WORK, HOME], 2),
        (["tunnel", "status"], [PROXY], 1),
        (["tunnel", "status", "--pid", "3"], [WORK, HOME], 3),
        (["tunnel", "status", "--port", "1"], [PROXY, HOME], 1),
        (["stats", "--pid", "1"], [PROXY, HOME], 1),
        (["cache", "list"], [WORK, PROXY, HOME], 1),
        (["cache", "show", "http://a.test/"], [HOME], 2),
        (["explain"], [HOME, PROXY], 1),
        (["dashboard"], [HOME, PROXY], 1),
    ],
)
def test_commands_ask_a_process_that_has_their_policy(
    words: list[str], found: list[client.Instance], pid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "instances", lambda confdirs: found)
    given: argparse.Namespace = parse(words)
    assert [one.status["pid"] for one in running.chosen(given)] == [pid]
