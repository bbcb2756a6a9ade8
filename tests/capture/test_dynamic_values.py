"""Values that differ each time are known by their looks."""

import pytest

from proxy_policies.capture import dynamic_values


@pytest.mark.parametrize(
    "value", ["1", "42", "shop", "2026", "checkout-page", "application-settings-v2", "release-2026-notes-of-version-12"]
)
def test_plain_values_are_not_dynamic(value: str) -> None:
    assert dynamic_values.kind_of(value) == ""


def test_values_of_one_generator_are_alike() -> None:
    assert dynamic_values.are_alike("9f86d081884c7d65", "7281936450128374")
    assert not dynamic_values.are_alike("7281936450128374", "7281936450128375")
    assert not dynamic_values.are_alike("shop", "shop")
    assert (
        dynamic_values.mask("a 2026-01-02T03:04:05Z of order-items-of-the-year-2026")
        == "a <time> of order-items-of-the-year-2026"
    )
