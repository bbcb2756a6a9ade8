"""Words that mitmproxy would take for a flow filter."""

import pytest

from proxy_policies.start_up.stray_word import message


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
    assert message(words) == said


@pytest.mark.parametrize("words", [[], ["~q & ~s"], ["!~q"], ["(~q)", "-q"], ["  ~u x"], [""]])
def test_a_flow_filter_is_mitmproxys(words: list[str]) -> None:
    assert message(words) == ""
