"""Where to listen."""

import sys

import pytest

from proxy_policies.metrics.addon import parse_listen
from proxy_policies.start_up import requirements
from proxy_policies.worker_number import ENV_VAR


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("off", None),
        ("9090", ("127.0.0.1", 9090)),
        ("10.0.0.1:9090", ("10.0.0.1", 9090)),
        ("[::1]:9090", ("::1", 9090)),
        ("*:9090", ("", 9090)),
    ],
)
def test_addresses(text: str, address: object) -> None:
    assert parse_listen(text) == address


def test_each_worker_has_a_port_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENV_VAR, "3")
    assert parse_listen("9090") == ("127.0.0.1", 9092)


def test_a_missing_package_is_named_with_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "is_installed", lambda module: module != "prometheus_client")
    with pytest.raises(ValueError, match="needs the package prometheus-client: ") as raised:
        parse_listen("9090")
    assert f"{sys.executable} -m pip install prometheus-client" in str(raised.value)
    assert parse_listen("off") is None
    with pytest.raises(ValueError, match="no port"):  # what is wrong anyway is said first
        parse_listen("abc")
