"""What a test wants, put together from all that may say so."""

import pytest

from proxy_policies.capture.pytest_plugin.capture_options import RECORD_MODES, merge_options, require_words
from proxy_policies.capture.runner.session_proxy import CaptureOptions


def test_the_first_layer_is_before_the_others_and_lists_are_added_up() -> None:
    marker = {"mode": "strict", "ignore": ["query:t"]}
    config = {"mode": "loop", "exact": True, "ignore": ("body",)}
    ini = {"record_mode": "none", "ignore": ["host"]}
    found = merge_options(None, marker, config, ini)
    assert found == CaptureOptions(mode="strict", record_mode="replay", exact=True, ignore=("host", "body", "query:t"))
    assert merge_options("all", marker, config, ini).record_mode == "record", "the command line is before them all"
    assert merge_options(None) == CaptureOptions()


@pytest.mark.parametrize("mode", RECORD_MODES)
def test_the_words_of_vcrpy_are_understood(mode: str) -> None:
    assert merge_options(mode).record_mode in ("auto", "replay", "new", "record")


WRONG: dict[str, tuple[dict[str, object], str]] = {
    "mode": ({"mode": "onec"}, r"mode is not 'onec' \(once\?\); write once, loop, new, strict"),
    "record mode": ({"record_mode": 1}, "record_mode is not 1; write auto"),
    "a text for a list": ({"ignore": "body"}, "ignore is a list of texts, not 'body'"),
    "a list of others": ({"set": [1]}, "set is a list of texts"),
    "a text for a switch": ({"exact": "no"}, "exact is True or False, not 'no'"),
    "path": ({"path": 1}, "path is a text"),
}


@pytest.mark.parametrize(("layer", "why"), WRONG.values(), ids=WRONG)
def test_wrong_values_are_refused(layer: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        merge_options(None, layer)


def test_unknown_words_are_named_with_the_nearest() -> None:
    require_words("http_capture", ["mode"], ("mode", "path"))
    with pytest.raises(ValueError, match=r"http_capture does not take mdoe \(mode\?\), zzz; it takes mode, path"):
        require_words("http_capture", ["zzz", "mdoe"], ("mode", "path"))
