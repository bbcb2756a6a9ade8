"""Options that no addon has, and words that mitmproxy would take for a flow filter."""

import pytest
from mitmproxy import options
from mitmproxy.tools import dump, web
from mitmproxy.tools.console import master as console

from proxy_policies.log_lines import nearest
from proxy_policies.start_up.unknown_arguments import SIMILARITY, Severity, judge, stray_word, unknown_option

KNOWN = {"proxyauth", "cache", "cache_size", "view_filter"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [("proxyaut", "proxyauth"), ("proxy_auth", "proxyauth"), ("cache_sise", "cache_size"), ("nope", None), ("", None)],
)
def test_the_nearest_name_is_told(name: str, meant: str | None) -> None:
    assert nearest(name, KNOWN, SIMILARITY) == meant
    assert unknown_option(name, KNOWN).startswith(f"unknown option {name!r}; ")
    assert (f"did you mean {meant!r}?" in unknown_option(name, KNOWN)) == (meant is not None)


@pytest.mark.parametrize(
    ("name", "on_command_line", "verdict"),
    [
        ("nope", True, Severity.REJECTED),
        ("console_palette", True, Severity.REJECTED),
        ("nope", False, Severity.WARNED),
        ("proxyaut", False, Severity.REJECTED),
        ("console_palette", False, Severity.IGNORED),
        ("intercept", False, Severity.IGNORED),
    ],
)
def test_what_comes_of_it(name: str, on_command_line: bool, verdict: Severity) -> None:
    assert judge(name, KNOWN, on_command_line) is verdict


async def test_options_of_some_of_mitmproxys_programs_are_not_unknown_to_the_others() -> None:
    known = []
    for master in (dump.DumpMaster, web.master.WebMaster, console.ConsoleMaster):
        declared = options.Options()
        master(declared)
        known.append(declared.keys())
    for name in set.union(*known) - set.intersection(*known):
        assert judge(name, set(), on_command_line=False) is Severity.IGNORED, name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["web"], "unrecognized argument: web; a flow filter would be '~u web'"),
        (["cache=off", "-q"], "unrecognized argument: cache=off; did you mean --set cache=off?"),
        (
            ["home.example:9000"],
            "unrecognized argument: home.example:9000; a flow filter would be '~u home.example:9000'",
        ),
    ],
)
def test_a_stray_word_is_no_flow_filter(words: list[str], said: str) -> None:
    assert stray_word(words) == said


@pytest.mark.parametrize("words", [[], ["~q & ~s"], ["!~q"], ["(~q)", "-q"], ["  ~u x"], [""]])
def test_a_flow_filter_is_mitmproxys(words: list[str]) -> None:
    assert stray_word(words) == ""
