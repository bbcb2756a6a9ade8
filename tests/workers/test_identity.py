"""Which worker this is."""

import pytest

from proxy_policies.workers import identity


@pytest.mark.parametrize(("value", "number"), [(None, identity.SINGLE_PROCESS), ("3", 3)])
def test_worker_number(monkeypatch: pytest.MonkeyPatch, value: str | None, number: int) -> None:
    monkeypatch.delenv(identity.ENV_VAR, raising=False)
    if value is not None:
        monkeypatch.setenv(identity.ENV_VAR, value)
    assert identity.worker_number() == number
