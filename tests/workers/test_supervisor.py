"""The supervisor's arguments."""

import pytest

from proxy_policies.workers.supervisor import fixed_port, main


@pytest.mark.parametrize("arguments", [[], ["none"], ["0"], ["-p", "1"]], ids=str)
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().out.startswith("usage")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-p", "0"], ["-p", "77"]),
        (["--listen-port", "0"], ["--listen-port", "77"]),
        (["--listen-port=0"], ["--listen-port=77"]),
        (["--set", "listen_port=0"], ["--set", "listen_port=77"]),
        (["-p", "8080", "-n", "0"], ["-p", "8080", "-n", "0"]),
    ],
    ids=str,
)
def test_a_port_that_is_free_is_chosen_once(arguments: list[str], expected: list[str]) -> None:
    assert fixed_port(arguments, 77) == expected
