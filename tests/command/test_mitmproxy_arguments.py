"""What arguments of mitmproxy say."""

import pytest

from proxy_policies.command.mitmproxy_arguments import flow_files, require_patterns, value_of


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
