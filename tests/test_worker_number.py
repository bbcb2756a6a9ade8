"""Which worker this is."""

import pytest

from proxy_policies.worker_number import ENV_VAR, SINGLE_PROCESS, worker_number


@pytest.mark.parametrize(("value", "number"), [(None, SINGLE_PROCESS), ("3", 3)])
def test_worker_number(monkeypatch: pytest.MonkeyPatch, value: str | None, number: int) -> None:
    monkeypatch.delenv(ENV_VAR, raising=False)
    if value is not None:
        monkeypatch.setenv(ENV_VAR, value)
    assert worker_number() == number
