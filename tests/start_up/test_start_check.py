"""What ends a start."""

import contextlib
import logging

import pytest
from mitmproxy.addons.errorcheck import ErrorCheck
from mitmproxy.test import taddons

from proxy_policies.start_up import start_check, starting


def test_a_start_without_errors_goes_on() -> None:
    with taddons.context(ErrorCheck()):
        start_check.check()


@pytest.mark.parametrize(("repeats", "code"), [(True, "one\ntwo"), (False, 1)])
def test_the_process_ends_with_what_was_wrong(repeats: bool, code: object) -> None:
    with taddons.context(ErrorCheck(repeat_errors_on_stderr=repeats)), pytest.raises(SystemExit) as ended:
        start_check.end(["one", "two"])
    assert ended.value.code == code


def test_nothing_is_checked_when_a_script_is_loaded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "is_starting", lambda: False)
    monkeypatch.setattr(start_check, "check", lambda: pytest.fail("checked"))
    with taddons.context() as context:
        start_check.StartCheck().load(None)  # type: ignore[arg-type]
        assert context.options is not None


@pytest.mark.parametrize("errors", [[], ["wrong"]], ids=["good", "bad"])
def test_what_ends_does_not_say_that_it_listens(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, errors: list[str]
) -> None:
    caplog.set_level(logging.INFO, start_check.SERVERS.name)
    with taddons.context(ErrorCheck()):
        monkeypatch.setattr(starting, "start_errors", lambda: errors)
        start_check.SERVERS.addFilter(start_check.defer)
        start_check.SERVERS.info("listening")
        start_check.SERVERS.error("port in use")
        assert caplog.messages == ["port in use"]
        with contextlib.suppress(SystemExit):
            start_check.check()
        assert caplog.messages == ["port in use", *["listening"] * (not errors)]
        start_check.log_deferred()


def test_what_was_wrong_before_our_script_is_said_again() -> None:
    with taddons.context(ErrorCheck()), pytest.raises(SystemExit) as ended:
        start_check.end(["port in use"], repeat=True)
    assert ended.value.code == "port in use"
