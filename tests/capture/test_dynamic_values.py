"""Values that differ each time are known by their looks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture import dynamic_values


@pytest.mark.parametrize(
    "value",
    [
        "1",
        "42",
        "shop",
        "2026",
        "checkout-page",
        "application-settings-v2",
        "release-2026-notes-of-version-12",
        "x" * 60,
    ],
)
def test_plain_values_are_not_dynamic(value: str) -> None:
    assert dynamic_values.dynamic_kind(value) == ""


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
    assert dynamic_values.dynamic_kind(value) == kind
    assert dynamic_values.dynamic_kind(f"{value} ") == ""


@given(st.lists(st.tuples(words, st.sampled_from(sorted(KINDS))), max_size=4), words)
def test_exactly_what_is_dynamic_is_masked(parts: list[tuple[str, str]], end: str) -> None:
    def text(**kinds: str) -> str:
        return "".join(f"{word} {kinds[kind]} " for word, kind in parts) + end

    plain = {kind: f"<{kind}>" for kind in KINDS}
    made = text(**KINDS)
    assert dynamic_values.mask(made) == text(**plain)
    forms = plain | {"time": "<time 0000-00-00T00:00:00+00:00>", "epoch": "<epoch 0000000000000>", "hex": "<hex 16>"}
    assert dynamic_values.mask_plain(made) == text(**forms | {"secret": KINDS["secret"]})
    assert dynamic_values.mask_kinds(made) == text(**forms | {"secret": "<secrethex016>"})
    assert [made[start:end] for start, end in dynamic_values.spans(made)] == [KINDS[kind] for _, kind in parts]


def test_secrets_are_not_alike_because_they_are_secrets() -> None:
    assert not dynamic_values.are_alike(KINDS["secret"], KINDS["secret"])


ALIKE = [
    ("2026-11-28T10:00:00.123+01:00", "2027-01-01T00:00:00+02:00", True),  # of a second what there is of it
    ("2026-11-28T10:00:00Z", "2026-11-28 10:00:00", False),
    ("2026-11-28T10:00:00Z", "2026-11-28T10:00:00+00:00", False),
    ("1760000000", "1770000001", True),
    ("1760000000", "1760000000000", False),
    (KINDS["uuid"], KINDS["uuid"].replace("a", "d"), True),
    (KINDS["uuid"], "00000000-0000-0000-0000-000000000000", False),
    ("9f86d081884c7d65", "9f86d081884c7d659f86d081884c7d65", False),
    (KINDS["token"], KINDS["token"][::-1], True),
    (KINDS["token"], KINDS["token"] * 6, False),
]


@pytest.mark.parametrize(("one", "other", "are_alike"), ALIKE)
def test_values_are_alike_that_are_written_in_one_way(one: str, other: str, are_alike: bool) -> None:
    assert dynamic_values.are_alike(one, other) is are_alike
    assert dynamic_values.are_alike(other, one) is are_alike
