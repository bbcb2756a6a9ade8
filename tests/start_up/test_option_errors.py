"""A value with which an addon of mitmproxy fails is one line; a script's error keeps its traceback."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from mitmproxy import addonmanager
from mitmproxy.addons.modifyheaders import ModifyHeaders
from mitmproxy.addons.next_layer import NextLayer
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.test import taddons

from proxy_policies.start_up import option_errors

SCRIPT = """
class Failing:
    def configure(self, updated):
        if "showhost" in updated:
            raise KeyError("mine")
"""


@pytest.fixture(autouse=True)
def _shortened() -> Iterator[None]:
    option_errors.shorten_all()
    yield
    addonmanager.logger.removeFilter(option_errors.shorten)


@pytest.mark.parametrize(
    ("addon", "option", "value", "said"),
    [
        (TlsConfig, "tls_version_client_min", "TLS9", "option tls_version_client_min='TLS9': choose one of UNBOUNDED"),
        (NextLayer, "ignore_hosts", ["("], "mitmproxy's addon next_layer cannot use an option: "),
        (ModifyHeaders, "modify_headers", [""], "mitmproxy's addon modifyheaders cannot use an option: IndexError: "),
    ],
)
def test_it_is_a_line(addon: type, option: str, value: object, said: str, caplog: pytest.LogCaptureFixture) -> None:
    with taddons.context(addon()) as context:
        context.options.update(**{option: value})
    (record,) = caplog.records
    assert record.getMessage().startswith(said)
    assert record.exc_info is None


@pytest.mark.parametrize("file", ["/home/ada/mine.py", "/home/ada/mitmproxy/addons/mine.py"])
def test_a_script_keeps_its_traceback(file: str, caplog: pytest.LogCaptureFixture) -> None:
    script: dict[str, Any] = {"__name__": "__mitmproxy_script__.mine"}
    exec(compile(SCRIPT, file, "exec"), script)
    with taddons.context(script["Failing"]()) as context, caplog.at_level(logging.ERROR):
        context.options.update(showhost=True)
    (record,) = caplog.records
    assert record.exc_info is not None
