"""What arguments of mitmproxy say."""

from pathlib import Path

import pytest

from proxy_policies.options.mitmproxy_arguments import (
    modes,
    require_flow_files,
    require_patterns,
    require_ports,
    value_of,
    without_modes,
)


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ([], ""),
        (["--set", "confdir=/x"], "/x"),
        (["--set=confdir=/x=y"], "/x=y"),
        (["--set", "confdirs=/x", "-s", "confdir"], ""),
    ],
)
def test_what_an_option_is_set_to(arguments: list[str], value: str) -> None:
    assert value_of(arguments, "confdir") == value


@pytest.mark.parametrize("option", ["ignore_hosts", "allow_hosts", "tcp_hosts", "udp_hosts"])
def test_an_invalid_pattern_is_quoted(option: str) -> None:
    flag = f"--{option.replace('_', '-')}"
    for arguments in ([flag, "("], [f"{flag}=("], ["--set", f"{option}=("], [flag, "a", f"--set={option}=("]):
        with pytest.raises(ValueError, match=rf"^option {option}='\(': missing \)"):
            require_patterns(["-n", *arguments, "-q"])
    require_patterns([flag, r"^a\.example:443$", "--set", f"{option}=b", "--set", "header_rules=(", "("])


@pytest.mark.parametrize("flag", ["-r", "-S", "-C"])
def test_a_flow_file_that_cannot_be_read_is_named(flag: str, tmp_path: Path) -> None:
    for path, why in ((tmp_path / "absent", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ValueError, match=f"^{flag} {path}: {why}$"):
            require_flow_files(["-w", "d", flag, str(path), "~u x"])
    require_flow_files([flag, "-", f"{flag}{__file__}", "--set", "cache=off", "-nra"])  # combined flags are mitmproxy's


def test_all_modes_are_found() -> None:
    given = ["-m", "socks5", "--mode=regular@8081", "--set", "mode=reverse:http://a", "--set=cache=off", "--mode"]
    assert modes(given) == ["socks5", "regular@8081", "reverse:http://a"]
    assert without_modes(["-n", *given[:-1], "~u x"]) == [
        "-n",
        "--set",
        "mode=reverse:http://a",
        "--set=cache=off",
        "~u x",
    ]


@pytest.mark.parametrize(
    "arguments", [["-p", "65536"], ["-p-1"], ["--listen-port=99999"], ["--set", "listen_port=70000"]]
)
def test_a_number_that_is_no_port_is_quoted(arguments: list[str]) -> None:
    with pytest.raises(ValueError, match=r"^option listen_port=-?\d+: not a port from 0 to 65535$"):
        require_ports(["-n", *arguments])
    require_ports(
        ["-p", "65535", "--listen-port", "0", "--set", "listen_port=", "-p", "text", "--mode", "regular@70000"]
    )
