"""Python, mitmproxy, packages, open files, clock."""

import resource
import time

import pytest

from proxy_policies.doctor import environment
from proxy_policies.doctor.finding import Level
from proxy_policies.start_up import requirements


def test_what_is_here_will_do() -> None:
    found = [*environment.python(), *environment.packages(), *environment.open_files(), *environment.clock()]
    assert Level.FAIL not in {finding.level for finding in found}
    assert {"python", "mitmproxy", "packages", "open files", "clock"} == {finding.subject for finding in found}


def test_a_mitmproxy_never_tried_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "mitmproxy_version", lambda: "99.0")
    assert [finding.level for finding in environment.python()] == [Level.OK, Level.WARN]


def test_what_is_missing_comes_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "EXTRAS", {"no_such_module": "no-such-package"})
    *_, found = environment.packages()
    assert found.advice.endswith("-m pip install no-such-package")


def test_few_open_files_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    (found,) = environment.open_files()
    assert (found.level, "some 128 clients" in found.text) == (Level.WARN, True)


@pytest.mark.parametrize(("kept", "level"), [(True, Level.OK), (None, Level.OK), (False, Level.WARN)])
def test_a_clock_that_nothing_keeps_right(monkeypatch: pytest.MonkeyPatch, kept: bool | None, level: Level) -> None:
    monkeypatch.setattr(environment, "is_synchronized", lambda: kept)
    (found,) = environment.clock()
    assert found.level is level


def test_a_clock_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 86400.0)
    (found,) = environment.clock()
    assert found.level is Level.FAIL
