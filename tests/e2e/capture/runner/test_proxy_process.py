"""A mitmdump of our own: ready when it says so, and when it cannot start, the line that says why."""

from pathlib import Path

import pytest

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.runner.proxy_process import ProxyProcess, _problem, policy_script

LOGS = {
    "an error at the start": (
        "[10:00:00.000] Loading script a.py\n[10:00:00.100] option cache: no\n[10:00:00.200] policies: cache\n"
        "[10:00:00.300] Error logged during startup, exiting...\n",
        "option cache: no",
    ),
    "a traceback": ("Traceback (most recent call last):\n  File x\nImportError: no\n", "ImportError: no"),
    "an ordinary start": ("[10:00:00] HTTP(S) proxy listening at *:1.\n", "HTTP(S) proxy listening at *:1."),
    "nothing": ("\n", "its log is empty"),
}


@pytest.mark.parametrize(("log", "line"), LOGS.values(), ids=LOGS)
def test_of_a_log_the_line_is_told_that_is_not_ordinary(log: str, line: str) -> None:
    assert _problem(log) == line


def test_the_script_has_every_policy() -> None:
    assert "addons = " in policy_script().read_text()


def test_what_is_wrong_with_an_option_is_told(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"^the proxy did not start: .*cache_rules.*") as error:
        ProxyProcess(tmp_path, ["cache_rules=nonsense"]).__enter__()
    assert "\n" not in str(error.value)


def test_a_folder_that_cannot_be_is_told_before_anything_is_started(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CaptureError, match="file"):
        ProxyProcess(tmp_path / "file" / "conf", []).__enter__()
