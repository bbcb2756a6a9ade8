"""What a policy file may look like, and what is said of one that does not."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.policy_file.document import FileOption, read


def test_gives_entries_with_their_lines() -> None:
    text = "# the cache\ncache_size: 64m\n\nencode:\n  - zstd\n  - gzip\nflow_detail: 2\n"
    assert read(text) == {
        "cache_size": FileOption("cache_size", "64m", 2),
        "encode": FileOption("encode", ["zstd", "gzip"], 4),
        "flow_detail": FileOption("flow_detail", 2, 7),
    }


@pytest.mark.parametrize("text", ["", "\n", "# nothing yet\n", "---\n"])
def test_an_empty_file_is_no_options(text: str) -> None:
    assert read(text) == {}


def test_on_and_off_are_words() -> None:
    assert read("encode: off")["encode"].value == "off"


REFUSED = {
    "no mapping": ("- cache\n", "line 1: write one option per line"),
    "a word": ("cache", "line 1: write one option per line"),
    "open bracket": ("a: 1\nb: [1, 2\n", "line 3: expected ',' or ']'"),
    "tab": ("a: 1\n\tb: 2\n", "line 2: "),
    "said twice": ("cache: on\nvia_name: x\ncache: off\n", 'line 3: found duplicate key "cache"'),
    "mode": ("a: 1\nmode: [regular]\n", "line 2, option mode: belongs on the command line"),
    "scripts": ("scripts: [x.py]\n", "line 1, option scripts: belongs on the command line"),
    "confdir": ("confdir: /x\n", "line 1, option confdir: belongs on the command line"),
    "server": ("server: false\n", "line 1, option server: belongs on the command line"),
    "policy_file": ("policy_file: x\n", "line 1, option policy_file: belongs on the command line"),
    "two documents": ("a: 1\n---\nb: 2\n", "line 2: but found another document"),
    "control character": ("a: \x00\n", "invalid YAML: "),
    "bad date": ("a: 2020-99-99\n", "invalid YAML: month must be in 1..12"),
    "too deep": ("a: 1\nb: " + "[" * 5000, "line 2: nested more than 8 deep"),
    "too deep, by lines": ("\n".join(" " * level + "a:" for level in range(400)), "line 9: nested more than 8 deep"),
    "too deep, closed": ("a: " + "[" * 400 + "]" * 400, "line 1: nested more than 8 deep"),
    "too many": ("a: [" + "b," * 30_000 + "]", "line 1: more than 20000 values"),
    "too large": ("#" * 300_000, "more than 256 KiB"),
    "unknown alias": ("a: *b\n", "line 1: found undefined alias 'b'"),
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_says_in_one_line_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as refused:
        read(text)
    assert str(refused.value).startswith(reason)
    assert "\n" not in str(refused.value)


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"%@#,?~<= \n\t0.\x00é")))
def test_raises_nothing_but_its_own_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        read(text)


def test_a_secret_is_not_quoted() -> None:
    assert "hunter2" not in str(FileOption("home_secret", "hunter2", 1).error("too short", quoted=False))
    assert str(FileOption("cache", "lots", 4).error("say on or off")) == "line 4, option cache: 'lots': say on or off"
