"""What arguments of mitmproxy say."""

import pytest

from proxy_policies.options.mitmproxy_arguments import (
    flow_files,
    modes,
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


@pytest.mark.parametrize(
    "words", ["-r a -S b -C c", "--rfile a --server-replay=b --client-replay c", "-nra -p 80 -Sb -Cc"]
)
def test_the_flow_files(words: str) -> None:
    given = flow_files([*words.split(), "-r", "-", "--set", "cache=off", "-w", "d", "~u x"])
    assert given == (["b", "c"] if "-nra" in words else ["a", "b", "c"])  # combined flags are mitmproxy's to read


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
