"""An addon that fails while options are set refuses them."""

import logging

import pytest
from mitmproxy import addonmanager, exceptions
from mitmproxy.addons.next_layer import NextLayer
from mitmproxy.test import taddons

from proxy_policies.policy_file.addon_errors import raised_as_options_error


def test_a_failure_is_raised_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with taddons.context(NextLayer()) as context:
        with pytest.raises(exceptions.OptionsError, match="missing"), raised_as_options_error():
            context.options.update(ignore_hosts=["("])
        assert not caplog.records
        context.options.update(ignore_hosts=["["])
        assert "Addon error" in caplog.text, "what fails later is logged"


def test_other_lines_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with raised_as_options_error(), caplog.at_level(logging.WARNING):
        addonmanager.logger.warning("a line")
    assert "a line" in caplog.text
