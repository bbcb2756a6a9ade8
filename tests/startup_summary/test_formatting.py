"""What a start says."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from proxy_policies.script_paths import own_command
from proxy_policies.startup_summary.formatting import forwards, summary_lines, warning_of_end

DEFAULTS: dict[str, Any] = {
    "mode": ["regular"],
    "inspect_hosts": [],
    "cache": "memory",
    "cache_size": "256m",
    "encode": ["zstd", "br"],
    "header_rules": [],
    "capture_file": "",
}
UNTOUCHED = "HTTPS passes through untouched; --set inspect_hosts='*' opens it"
POLICIES = "policies: cache of 256m in memory; compression (zstd, br)"


def say(**changed: Any) -> list[str]:
    return list(summary_lines(DEFAULTS | changed, "ca.pem"))


def test_by_default_https_passes_through() -> None:
    assert say() == [POLICIES, UNTOUCHED]


@pytest.mark.parametrize(
    ("globs", "line"),
    [
        (["*"], "HTTPS of * is opened; clients must trust ca.pem"),
        (["*", "!bank.test"], "HTTPS of * is opened, bank.test passes through untouched; clients must trust ca.pem"),
        (
            ["*.a.test", "b.test:8443"],
            "HTTPS of *.a.test, b.test:8443 is opened, any other passes through untouched; clients must trust ca.pem",
        ),
    ],
    ids=str,
)
def test_opened_hosts_are_named(globs: list[str], line: str) -> None:
    assert say(inspect_hosts=globs)[1:] == [line]


@pytest.mark.parametrize("option", ["ignore_hosts", "allow_hosts", "tcp_hosts"])
def test_nothing_is_said_of_what_mitmproxys_own_options_decide(option: str) -> None:
    assert say(**{option: ["x"]}) == [POLICIES]


def test_a_script_without_inspection_says_nothing_of_it() -> None:
    assert list(summary_lines({"mode": ["regular"]}, "ca.pem")) == []


@pytest.mark.parametrize(
    ("modes", "forwarding"),
    [
        (["regular"], True),
        (["regular@127.0.0.1:8080"], True),
        (["upstream:http://proxy.test"], True),
        (["socks5"], True),
        (["local:curl"], True),
        (["reverse:http://127.0.0.1:9000"], False),
        (["reverse:http://127.0.0.1:9000", "regular@8081"], True),
        (["dns"], False),
        ([], False),
    ],
    ids=str,
)
def test_modes(modes: list[str], forwarding: bool) -> None:
    assert forwards(modes) == forwarding
    assert (UNTOUCHED in say(mode=modes)) == forwarding


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cache": "off"}, "policies: compression (zstd, br)"),
        ({"encode": ["off"]}, "policies: cache of 256m in memory"),
        ({"header_rules": ["//A/b"]}, "policies: 1 header rule; cache"),
        ({"header_rules": ["//A/b", "//C/d"]}, "policies: 2 header rules; cache"),
        ({"capture_file": "x.har"}, "compression (zstd, br); recording into x.har"),
        ({"cache": "off", "encode": ["off"]}, UNTOUCHED),
    ],
    ids=str,
)
def test_what_is_on_is_said(changed: dict[str, Any], said: str) -> None:
    assert said in say(**changed)[0]


@pytest.mark.parametrize(
    ("days", "line"),
    [
        (31, ""),
        (29, f"expires on 2026-01-30: {own_command()} certs --folder x make --force makes another"),
        (-1, f"expired on 2025-12-31: {own_command()} certs --folder x make --force makes another"),
    ],
)
def test_an_authority_that_ends_soon_is_warned_of(days: int, line: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert warning_of_end(now + timedelta(days=days), now, Path("x/ca.pem")) == (
        line and f"the authority x/ca.pem {line}"
    )
