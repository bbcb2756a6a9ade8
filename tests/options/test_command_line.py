"""What the command line said."""

from collections.abc import Sequence

import pytest
from mitmproxy.options import Options

from proxy_policies.options.command_line import ExplicitOptions, parse_command_line

SAID = {
    "nothing": ([], set()),
    "set": (["--set", "cache=off", "--set", "encode=zstd", "--set", "encode=gzip"], {"cache", "encode"}),
    "a flag of its own": (["-p", "0", "--showhost"], {"listen_port", "showhost"}),
    "a flag turned off": (["--no-http2"], {"http2"}),
    "a list": (["--modify-headers", "/~q/X/y"], {"modify_headers"}),
    "verbose": (["-v"], {"termlog_verbosity", "flow_detail"}),
    "a filter": (["~u x"], {"dumper_filter", "save_stream_filter", "readfile_filter"}),
    "a script": (["-s", "policy.py"], {"scripts"}),
    "what its parser refuses": (["--listen-port", "many"], set()),
}


@pytest.fixture
def options() -> Options:
    options = Options()
    options.add_option("modify_headers", Sequence[str], [], "")
    options.add_option("scripts", Sequence[str], [], "")
    return options


@pytest.mark.parametrize(("arguments", "names"), SAID.values(), ids=SAID)
def test_names_the_options(arguments: list[str], names: set[str], options: Options) -> None:
    assert parse_command_line("DumpMaster", arguments, options).names == names


def test_gives_the_flow_filter(options: Options) -> None:
    said = parse_command_line("DumpMaster", ["-s", "policy.py", "-q", "~u", "x"], options)
    assert said.flow_filter == ("~u", "x")


def test_another_programs_command_line_says_nothing(options: Options) -> None:
    assert parse_command_line("RecordingMaster", ["-v", "--set", "x=1"], options) == ExplicitOptions()


@pytest.mark.parametrize("program", ["DumpMaster", "WebMaster", "ConsoleMaster"])
def test_every_tool_has_its_parser(program: str, options: Options) -> None:
    assert parse_command_line(program, ["--set", "cache=off"], options) == ExplicitOptions(
        frozenset({"cache"}), ("cache=off",)
    )


def test_gives_the_values_again(options: Options) -> None:
    words = parse_command_line("DumpMaster", ["--set", "a=1=2", "--set", "b=x", "--set", "b=y", "--set", "c"], options)
    assert words.specs_of(["b", "a"]) == ["a=1=2", "b=x", "b=y"]
    assert words.values_of("b") == ["x", "y"]
    assert words.values_of("a") == ["1=2"]
    assert words.values_of("c") == []
    assert words.values_of("d") is None
