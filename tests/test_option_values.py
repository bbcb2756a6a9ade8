"""Values of options in the form that an option takes."""

import pytest

from proxy_policies.option_values import coerce, is_secret, scalar_text


@pytest.mark.parametrize(
    ("strings", "raw", "is_list", "fitted"),
    [
        (["a"], None, False, "a"),
        (["a", "b"], None, True, ["a", "b"]),
        ([], None, True, []),
        (None, 5, False, "5"),
        (None, True, False, "on"),
        (None, ["x", 1], True, ["x", "1"]),
        (None, "x", True, ["x"]),
    ],
)
def test_values_are_made_to_fit(strings: list[str] | None, raw: object, is_list: bool, fitted: object) -> None:
    assert coerce(strings, raw, is_list) == fitted


@pytest.mark.parametrize(("strings", "raw"), [([], None), (["a", "b"], None), (None, None), (None, {"a": 1})])
def test_values_that_do_not_fit(strings: list[str] | None, raw: object) -> None:
    with pytest.raises(ValueError):
        coerce(strings, raw, False)


def test_a_scalar_is_written_as_an_option_takes_it() -> None:
    assert [scalar_text(value) for value in ("x", 1, 1.5, False)] == ["x", "1", "1.5", "off"]


@pytest.mark.parametrize(
    ("name", "is_it"), [("home_secret", True), ("proxyauth", True), ("cache_purge", True), ("cache_size", False)]
)
def test_an_option_is_secret_by_its_name(name: str, is_it: bool) -> None:
    assert is_secret(name) == is_it
