"""Values of options: sizes, durations and switches as users write them, and their conversion."""

import pytest

from proxy_policies.options.parsers import (
    as_text,
    coerce,
    is_secret,
    one_of,
    parse_duration,
    parse_page_address,
    parse_size,
    parse_switch,
    scalar_text,
)


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("512", 512), ("64k", 65536), ("10m", 10485760), ("1G", 1 << 30), ("2kb", 2048)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("60", 60), ("500ms", 0.5), ("5m", 300), ("1h", 3600), ("2d", 172800), ("1.5s", 1.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "lots", "-1", "1x", "k", "1 2"])
def test_neither_size_nor_duration(text: str) -> None:
    with pytest.raises(ValueError, match="write a size such as"):
        parse_size(text)
    with pytest.raises(ValueError, match="write a duration such as"):
        parse_duration(text)


def test_a_switch_takes_mitmproxys_words_too() -> None:
    assert [parse_switch(word) for word in ("on", "true", True, "off", "false", False)] == [True] * 3 + [False] * 3
    with pytest.raises(ValueError, match="choose one of off, on"):
        parse_switch("maybe")


def test_one_of_a_few_words() -> None:
    assert one_of("on", "all")("all") == "all"
    with pytest.raises(ValueError, match="choose one of on, all"):
        one_of("on", "all")("off")
    assert one_of("on", "all").choices == ("on", "all")


def test_any_text() -> None:
    assert as_text("any thing") == "any thing"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("off", None),
        ("8082", ("127.0.0.1", 8082)),
        ("[::1]:8082", ("::1", 8082)),
        ("*:8082", ("", 8082)),
    ],
)
def test_where_a_page_is_served(text: str, address: tuple[str, int] | None) -> None:
    assert parse_page_address(text) == address


@pytest.mark.parametrize("text", ["", "lots", "on", ":8082", "host:port", "70000", "a b:1"])
def test_where_no_page_can_be_served(text: str) -> None:
    with pytest.raises(ValueError, match=r"write HOST:PORT, PORT, \*:PORT or off"):
        parse_page_address(text)


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
