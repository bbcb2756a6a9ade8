"""The control policy, where its socket cannot be made."""

from pathlib import Path

import pytest
from mitmproxy.test import taddons

from proxy_policies.control import addon
from proxy_policies.control.addon import Control
from proxy_policies.settings import Settings


class NoDescriptorLeft:
    """A late import, which opens files."""

    @property
    def ControlServer(self) -> object:
        raise OSError(24, "Too many open files")


async def test_a_late_import_that_fails_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    control = Control()
    with taddons.context(Settings([control]), control) as context:
        context.options.update(confdir=str(tmp_path))
        monkeypatch.setattr(addon, "server", NoDescriptorLeft())
        control._is_running = True
        await control._open()
    assert "control: no socket in confdir: Too many open files" in caplog.text
