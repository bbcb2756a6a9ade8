"""Values that differ each time are known by their looks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


KINDS = {
    "uuid": "0b0fa1a4-9d0b-4f6e-8a53-3c1e4d1c2b3a",
    "date": "Sat, 28 Nov 2026 10:00:00 GMT",
    "time": "2026-11-28T10:00:00.123+01:00",
    "epoch": "1760000000123",
    "hex": "9f86d081884c7d65",
    "token": "Wz-zbpjD-jMLZkbxrVhyYQ",
    "secret": "secret_0123456789abcdef_hex016",
}
words = st.sampled_from(["a", "of order 7", "id: ", "2026", "release-notes-of-the-year"])


@pytest.mark.parametrize(("kind", "value"), KINDS.items(), ids=KINDS)
def test_a_value_has_one_kind(kind: str, value: str) -> None:
    assert dynamic_values.kind_of(value) == kind
    assert dynamic_values.kind_of(f"{value} ") == ""


@given(st.lists(st.tuples(words, st.sampled_from(sorted(KINDS))), max_size=4), words)
def test_exactly_what_is_dynamic_is_masked(parts: list[tuple[str, str]], end: str) -> None:
    def text(**kinds: str) -> str:
        return "".join(f"{word} {kinds[kind]} " for word, kind in parts) + end

    plain = {kind: f"<{kind}>" for kind in KINDS}
    made = text(**KINDS)
    assert dynamic_values.mask(made) == text(**plain)
    assert dynamic_values.mask_plain(made) == text(**plain | {"secret": KINDS["secret"]})
    assert dynamic_values.mask_kinds(made) == text(**plain | {"secret": "<secrethex016>"})
    assert [made[start:end] for start, end in dynamic_values.spans(made)] == [KINDS[kind] for _, kind in parts]


def test_secrets_are_not_alike_because_they_are_secrets() -> None:
    assert not dynamic_values.are_alike(KINDS["secret"], KINDS["secret"])
    assert dynamic_values.are_alike(KINDS["time"], "2027-01-01 00:00")
